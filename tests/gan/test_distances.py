from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

from garbage_synth.core.rng import rng_for
from garbage_synth.gan.distances import FixedExtractor, kid, lab_distance, sliced_wasserstein

EXTRACTOR = FixedExtractor()


def scenes(count: int, seed: int = 0, side: int = 64) -> torch.Tensor:
    """Soft coloured blobs under fine grain, uint8 (count, 3, side, side)."""
    pictures = []
    for number in range(count):
        rng = rng_for(seed, "test.scenes", "", number)
        coarse = rng.integers(60, 180, (6, 6, 3)).astype(np.uint8)
        smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float64)
        pictures.append(np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def brighter(pictures: torch.Tensor, size: float) -> torch.Tensor:
    return (pictures.float() + 40 * size).clamp(0, 255).to(torch.uint8)


def flatter(pictures: torch.Tensor, size: float) -> torch.Tensor:
    return ((pictures.float() - 120) * (1 - 0.6 * size) + 120).clamp(0, 255).to(torch.uint8)


def softer(pictures: torch.Tensor, size: float) -> torch.Tensor:
    images = pictures.permute(0, 2, 3, 1).numpy()
    soft = np.stack([cv2.GaussianBlur(image, (0, 0), 0.5 + 2 * size) for image in images])
    return torch.from_numpy(soft).permute(0, 3, 1, 2).contiguous()


def noisier(pictures: torch.Tensor, size: float) -> torch.Tensor:
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    return (pictures.float() + 20 * size * noise).clamp(0, 255).to(torch.uint8)


Change = Callable[[torch.Tensor, float], torch.Tensor]


def kernel_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return kid(EXTRACTOR(a), EXTRACTOR(b))


def patch_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(sliced_wasserstein(a, b).values())


def colour_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(lab_distance(a, b).values())


@pytest.mark.parametrize(
    ("distance", "change"),
    [
        *((kernel_distance, change) for change in (brighter, flatter, softer, noisier)),
        (patch_distance, softer),
        (patch_distance, noisier),
        (colour_distance, brighter),
        (colour_distance, flatter),
    ],
)
def test_distance_grows_with_the_change(distance: Change, change: Change) -> None:
    first, second = scenes(16), scenes(16, seed=1)
    found = [float(distance(first, second))]
    found += [float(distance(first, change(second, size))) for size in (0.4, 0.7, 1.0)]  # type: ignore[arg-type]
    assert found == sorted(found)
    assert found[-1] > 1.2 * abs(found[0])


def test_extractor_is_the_same_everywhere_and_named_by_its_weights() -> None:
    assert EXTRACTOR.hash == "5881c01c"
    torch.manual_seed(5)
    other = FixedExtractor()
    assert other.hash == EXTRACTOR.hash
    other.stages[0].weight[0, 0, 0, 0] += 1
    assert other.hash != EXTRACTOR.hash
    assert EXTRACTOR(scenes(3, side=32)).shape == (3, 336)


def test_features_of_a_picture_do_not_depend_on_its_neighbours() -> None:
    pictures = scenes(11)
    together = EXTRACTOR(pictures)
    alone = torch.cat([EXTRACTOR(picture[None]) for picture in pictures])
    assert torch.allclose(together, alone, atol=1e-4)


def test_kernel_distance_is_unbiased() -> None:
    rng = torch.Generator().manual_seed(0)
    found = [kid(torch.randn(20, 8, generator=rng), torch.randn(20, 8, generator=rng)) for _ in range(200)]
    spread = torch.tensor(found).std() / 200**0.5
    assert abs(sum(found) / 200) < 3 * float(spread)
    assert 50 < sum(value < 0 for value in found) < 150


def test_kernel_distance_is_the_formula_of_the_paper() -> None:
    a, b = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    # k(a1, a2) = 1, k(b1, b2) = 2^3; k(a, b): 1.5^3, 1, 1.5^3, 2^3
    assert kid(a, b) == pytest.approx(1 + 8 - 2 * (1.5**3 + 1 + 1.5**3 + 8) / 4)


def test_patches_are_compared_at_each_level_of_the_pyramid() -> None:
    first, second = scenes(6), scenes(6, seed=1)
    assert list(sliced_wasserstein(first, second)) == [64, 32, 16]
    assert set(sliced_wasserstein(first, first).values()) == {0.0}
    plain, soft = sliced_wasserstein(first, second), sliced_wasserstein(first, softer(second, 0.2))
    growth = {level: soft[level] / plain[level] for level in plain}
    assert growth[64] > 1.3 > growth[16]  # a little blur is seen in the finest level


def test_sets_of_different_sizes_and_repeated_calls_give_the_same_number() -> None:
    first, second = scenes(7), scenes(5, seed=1)
    assert sliced_wasserstein(first, second) == sliced_wasserstein(first, second)
    assert lab_distance(first, second) == pytest.approx(lab_distance(second, first))


def test_colour_distance_is_in_lab_units() -> None:
    def gray(level: int) -> torch.Tensor:
        return torch.full((2, 3, 8, 8), level, dtype=torch.uint8)

    found = lab_distance(gray(119), gray(136))  # L* of sRGB gray 119 is 50.03, of 136 it is 56.69
    assert found["L"] == pytest.approx(6.66, abs=0.4)  # cv2 is exact to 0.2
    assert found["a"] == found["b"] == 0.0
