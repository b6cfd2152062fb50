import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.core.rng import rng_for
from garbage_synth.gan.occupancy import foreground, share_in


def belt_with_items(width: int, height: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A striped belt under falling light, with ellipses brighter or darker than it; and where they lie."""
    rng = rng_for(seed, "test", "belt", 0)
    y, x = np.mgrid[:height, :width]
    belt = 90 + 40 * x / width - 25 * y / height + 15 * ((x * 12 // width) % 2) + rng.normal(0, 4, (height, width))
    image, items = np.repeat(belt[..., None], 3, axis=2), np.zeros((height, width), np.bool_)
    for place in range(5):
        middle_x, middle_y = rng.uniform(0.1, 0.9, 2) * (width, height)
        ellipse = np.hypot((x - middle_x) / (0.1 * width), (y - middle_y) / (0.1 * height)) < 1
        image[ellipse] += 70 if place % 2 else -60
        items |= ellipse
    return np.clip(image, 0, 255).astype(np.uint8), items


@pytest.mark.parametrize("size_wh", [(160, 120), (640, 480)])
def test_items_are_found_on_a_striped_belt_under_uneven_light(size_wh: tuple[int, int]) -> None:
    image, items = belt_with_items(*size_wh)
    found = foreground(image)
    assert found.shape == (120, 160)
    step = size_wh[0] // 160
    truth = items[step // 2 :: step, step // 2 :: step]
    assert (found & truth).sum() / (found | truth).sum() > 0.75


@pytest.mark.parametrize("grain", [5, 12])
def test_empty_belt_holds_nothing_however_coarse_its_grain(grain: float) -> None:
    y, x = np.mgrid[:120, :160]
    belt = 80 + 0.3 * x + 20 * (y // 10 % 2) + rng_for(0, "test", "belt", 1).normal(0, grain, (120, 160))
    assert foreground(np.repeat(belt.clip(0, 255)[..., None], 3, axis=2).astype(np.uint8)).mean() < 0.01


def test_specks_of_dirt_are_no_items() -> None:
    belt = np.full((120, 160, 3), 80, np.uint8)
    belt[10:110:9, 12:150:9] = 250
    assert not foreground(belt).any()


def test_what_is_fainter_than_grain_of_any_camera_is_no_item() -> None:
    belt = np.full((120, 160, 3), 80, np.uint8)
    belt[40:70, 50:90] += 6
    assert not foreground(belt).any()
    belt[40:70, 50:90] += 10
    assert foreground(belt).mean() == pytest.approx(30 * 40 / (120 * 160), rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (7, 300, 3)])
def test_pictures_of_any_shape_have_a_foreground(shape: tuple[int, int, int]) -> None:
    assert foreground(np.full(shape, 9, np.uint8)).sum() == 0


def test_share_is_taken_inside_the_box_alone() -> None:
    covered = np.zeros((10, 20), np.bool_)
    covered[:5, :10] = True
    assert share_in(covered, (0.0, 0.0, 1.0, 1.0)) == 0.25
    assert share_in(covered, (0.0, 0.0, 0.5, 0.5)) == 1.0
    assert share_in(covered, (0.5, 0.0, 1.0, 1.0)) == 0.0
    assert share_in(covered, (0.25, 0.0, 0.75, 0.5)) == 0.5
    assert share_in(covered, (0.1, 0.1, 0.1, 0.1)) == 1.0
