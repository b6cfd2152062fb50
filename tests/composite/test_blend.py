"""How an item's edge meets what lies below, mode by mode."""

import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.composite.blend import edge, lay_over
from garbage_synth.composite.pose import draw_pose
from garbage_synth.composite.shade import Shadow
from garbage_synth.composite.warp import Patch
from garbage_synth.config.composite import BlendMode, CompositeConfig
from tests.composite.scenes import box_rgba, facts_of

MODES: tuple[BlendMode, ...] = ("none", "feather", "gaussian", "poisson", "pyramid")


def textured() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(colours, opacity) of a disc with a texture that has no period."""
    rng = np.random.default_rng(3)
    rgb = np.repeat(np.repeat(rng.integers(90, 170, (16, 16, 1), dtype=np.uint8), 4, 0), 4, 1).repeat(3, 2)
    y, x = np.mgrid[:64, :64] - 31.5
    alpha = np.clip((26 - np.hypot(x, y)) * 255, 0, 255).astype(np.uint8)
    return rgb, alpha


def drawn(
    mode: BlendMode, at: tuple[int, int] = (40, 30), shadow: Shadow | None = None, plain: bool = False
) -> NDArray[np.uint8]:
    canvas = np.full((120, 160, 3), 60, np.uint8)
    rgb, alpha = textured()
    rgb = np.full_like(rgb, 160) if plain else rgb
    patch = Patch(rgb, alpha, np.where(alpha > 127, 255, 0).astype(np.uint8), *at)
    lay_over(canvas, rgb, edge(patch, mode, 1.0), at, shadow, mode)
    return canvas


@pytest.mark.parametrize("mode", MODES)
def test_item_lies_where_it_was_put_and_nowhere_else(mode: BlendMode) -> None:
    rgb, _ = textured()
    canvas = drawn(mode).astype(float)
    window = canvas[30 + 16 : 30 + 48, 40 + 16 : 40 + 48, 0]
    scores = {
        (dy, dx): np.corrcoef(window.ravel(), rgb[16 + dy : 48 + dy, 16 + dx : 48 + dx, 0].ravel())[0, 1]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }
    assert max(scores, key=lambda shift: scores[shift]) == (0, 0)
    assert scores[0, 0] > 0.9
    y, x = np.mgrid[:120, :160]
    far = np.hypot(y - 61.5, x - 71.5) > 26 + 4
    assert (canvas[far] == 60).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", [(-30, -30), (130, 90), (-70, 0), (158, 118)])
def test_item_at_the_frame_edge(mode: BlendMode, at: tuple[int, int]) -> None:
    canvas = drawn(mode, at)
    inside = at != (-70, 0) and at != (158, 118)
    assert (canvas != 60).any() == inside


@pytest.mark.parametrize("mode", MODES)
def test_frame_edge_itself_is_painted(mode: BlendMode) -> None:
    rgb, _ = textured()
    canvas = drawn(mode, (-32, 30))
    for column in (0, 1):
        painted, wanted = canvas[42:82, column, 0].astype(float), rgb[12:52, 32 + column, 0].astype(float)
        assert np.corrcoef(painted, wanted)[0, 1] > 0.8
        assert painted.std() > 0.5 * wanted.std()


def test_edges_are_as_named() -> None:
    y, x = np.mgrid[:120, :160]
    outside = np.hypot(y - 61.5, x - 71.5) > 27
    hard, inwards, both = drawn("none"), drawn("feather"), drawn("gaussian")
    assert (hard[outside] == 60).all()
    assert (inwards[outside] == 60).all()
    assert (both[outside] != 60).any()
    rgb, alpha = textured()
    assert (hard[30:94, 40:104][alpha > 127] == rgb[alpha > 127]).all()
    assert (inwards[30:94, 40:104][alpha > 127] != rgb[alpha > 127]).any()


def test_poisson_takes_on_the_colour_around_and_keeps_the_texture() -> None:
    rgb, alpha = textured()
    cloned = drawn("poisson")[30:94, 40:104, 0].astype(float)
    core = alpha == 255
    assert cloned[core].mean() < 90 < rgb[..., 0][core].mean()
    assert cloned[core].std() == pytest.approx(rgb[..., 0][core].std(), rel=0.25)


def test_pyramid_joins_without_a_seam_and_keeps_the_middle() -> None:
    rgb, _ = textured()
    splined = drawn("pyramid").astype(int)
    assert abs(splined[30 + 28 : 30 + 36, 40 + 28 : 40 + 36] - rgb[28:36, 28:36].astype(int)).max() <= 6
    steps = {mode: abs(np.diff(drawn(mode, plain=True)[61, 40:60, 0].astype(int))).max() for mode in MODES}
    assert steps["pyramid"] < 0.5 * steps["none"]
    assert steps["pyramid"] < steps["feather"]


@pytest.mark.parametrize("mode", MODES)
def test_shadow_falls_beside_the_item_in_every_mode(mode: BlendMode) -> None:
    shadow = Shadow(np.full((80, 80), 128, np.uint8), 32, 22)
    canvas = drawn(mode, shadow=shadow)
    assert 28 <= canvas[24, 34, 0] <= 32
    assert canvas[61, 71, 0] > 60 or mode == "poisson"


def test_specks_are_blended_too() -> None:
    for mode in MODES:
        canvas = np.full((20, 20, 3), 60, np.uint8)
        speck = np.full((4, 4), 255, np.uint8)
        lay_over(canvas, np.full((4, 4, 3), 200, np.uint8), speck, (8, 8), None, mode)
        assert (canvas[8:12, 8:12] > 90).any()


def test_mix_draws_by_its_weights_and_see_through_items_are_never_cloned() -> None:
    config = CompositeConfig.model_validate({"blend": {"mode": "mix", "mix_weights": {"poisson": 1, "none": 1}}})
    solid, glass = facts_of("can/a", box_rgba()), facts_of("can/b", box_rgba(alpha=140))
    rng = np.random.default_rng(0)
    modes = [draw_pose(config, solid, 1.0, rng).blend for _ in range(200)]
    assert 60 < modes.count("poisson") < 140
    assert set(modes) == {"poisson", "none"}
    assert {draw_pose(config, glass, 1.0, rng).blend for _ in range(50)} == {"feather"}
    hard = CompositeConfig.model_validate({"blend": {"mode": "none"}})
    assert draw_pose(hard, glass, 1.0, rng).blend == "none"
    weightless = CompositeConfig.model_validate({"blend": {"mix_weights": {}}})
    assert draw_pose(weightless, solid, 1.0, rng).blend == "feather"
