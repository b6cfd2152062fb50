"""Facts and reduced copies of crops."""

import numpy as np
import pytest

from garbage_synth.composite.cutout import PAD_PX, level_for, measure, reduce
from tests.composite.scenes import box_rgba, crop, facts_of


def test_facts_of_a_box() -> None:
    rgba = np.zeros((50, 80, 4), np.uint8)
    rgba[10:30, 20:60] = (255, 255, 255, 255)
    rgba[:10] = (255, 0, 0, 60)  # faint dirt is not part of the item
    facts = facts_of("can/a", rgba)
    assert facts.long_px == pytest.approx(40, abs=0.01)
    assert facts.short_px == pytest.approx(20, abs=0.01)
    assert facts.hull_xy_px.min(axis=0).tolist() == [20, 10]
    assert facts.hull_xy_px.max(axis=0).tolist() == [60, 30]
    assert facts.opacity == 1.0
    assert facts.mean_lab == pytest.approx((100, 0, 0), abs=0.5)
    assert max(facts.small.shape) == 64


def test_facts_of_a_see_through_item_come_from_its_mask() -> None:
    rgba = box_rgba(alpha=51)
    assert measure(crop(), rgba, None) is None
    mask = np.zeros((30, 40), np.bool_)
    mask[5:25, 5:35] = True
    facts = facts_of("can/a", rgba, mask)
    assert facts.opacity == pytest.approx(0.2)
    assert facts.long_px == pytest.approx(30, abs=0.01)


def test_empty_crop_has_no_facts() -> None:
    assert measure(crop(), np.zeros((5, 5, 4), np.uint8), None) is None
    assert measure(crop(), box_rgba(), np.zeros((30, 40), np.bool_)) is None


def test_crop_of_one_pixel_has_facts() -> None:
    facts = facts_of("can/a", box_rgba(1, 1))
    assert (facts.long_px, facts.short_px) == (1.0, 1.0)


@pytest.mark.parametrize(("scale", "level"), [(3.0, 0), (1.0, 0), (0.51, 0), (0.5, 1), (0.3, 1), (0.25, 2), (0.0, 13)])
def test_level_leaves_at_most_a_halving_to_the_warp(scale: float, level: int) -> None:
    assert level_for(scale) == level


@pytest.mark.parametrize("level", [0, 1, 2, 8])
def test_clear_pixels_have_no_say_in_the_colour_of_the_edge(level: int) -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., :3] = (255, 255, 255)  # a white board below alpha 0
    rgba[16:48, 16:48] = (30, 60, 90, 255)
    pixels = reduce(rgba, None, level)
    side = max(1, 64 >> level)
    assert pixels.rgba.shape == (side + 2 * PAD_PX, side + 2 * PAD_PX, 4)
    visible = pixels.rgba[pixels.rgba[..., 3] > 0][:, :3].astype(int)
    assert np.abs(visible - (30, 60, 90)).max() <= 1
    near = pixels.rgba[PAD_PX - 1, side // 2 + PAD_PX, :3] if level == 8 else None
    assert near is None or np.abs(near.astype(int) - (30, 60, 90)).max() <= 1


def test_reduced_silhouette_comes_from_the_mask() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[:, :20] = True
    pixels = reduce(box_rgba(40, 40, alpha=100), mask, 1)
    assert pixels.silhouette is not None
    assert pixels.silhouette[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX][:, :10].min() == 255
    assert pixels.silhouette[:, PAD_PX + 10 :].max() == 0


def test_what_the_mask_leaves_out_is_not_drawn() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 10:30] = True
    alpha = reduce(box_rgba(40, 40), mask, 0).rgba[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX, 3]
    assert alpha[mask].min() == 255
    assert alpha[9:31, 9:31].min() == 255  # a rim of a pixel stays for soft edges
    alpha[9:31, 9:31] = 0
    assert alpha.max() == 0
