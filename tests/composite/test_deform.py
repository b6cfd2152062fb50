"""Bent items: pixels and silhouette move together, nothing folds, nothing is cut off."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from garbage_synth.composite import warp as warp_module
from garbage_synth.composite.cutout import reduce
from garbage_synth.composite.deform import largest_reach, source_of, tilt_matrix
from garbage_synth.composite.pose import draw_pose
from garbage_synth.composite.scene import Deform
from garbage_synth.composite.warp import Patch, warp
from garbage_synth.config.composite import CompositeConfig
from tests.composite.scenes import box_rgba, facts_of, placed

STRONG: dict[str, dict[str, object]] = {
    "deform": {
        "probability": 1.0,
        "tilt_deg": 35,
        "bend_deg": 60,
        "crush": 0.5,
        "dents": [0, 3],
        "dent_depth": 0.1,
        "ripple": 0.02,
    }
}
BOX = box_rgba(160, 90)
FACTS = facts_of("can/a", BOX)
LEVEL = reduce(BOX, None, 0)


def drawn(seed: int, settings_: dict[str, object] = STRONG) -> Deform:
    config = CompositeConfig.model_validate(settings_)
    deform = draw_pose(config, FACTS, 1.0, np.random.default_rng(seed)).deform
    assert deform is not None
    return deform


def bent(deform: Deform | None, **fields: object) -> Patch:
    return warp(placed("can/a", (400.0, 300.0), deform=deform, **fields), FACTS, LEVEL)


def in_frame(patch: Patch) -> NDArray[np.uint8]:
    frame = np.zeros((600, 800), np.uint8)
    height, width = patch.silhouette.shape
    frame[patch.y0 : patch.y0 + height, patch.x0 : patch.x0 + width] = patch.silhouette
    return frame


def test_no_bend_at_all_is_the_rigid_item() -> None:
    rigid, still = bent(None, angle_deg=30.0), bent(Deform(), angle_deg=30.0)
    different = in_frame(rigid) != in_frame(still)
    assert np.count_nonzero(different) < 0.002 * np.count_nonzero(in_frame(rigid))


def test_tilt_makes_the_far_side_shorter() -> None:
    silhouette = in_frame(bent(Deform(tilt_deg=30.0, tilt_axis_deg=0.0))) > 0
    rows = np.flatnonzero(silhouette.any(axis=1))
    top, bottom = (np.count_nonzero(silhouette[row]) for row in (rows[2], rows[-3]))
    # the box is 160 x 90 and seen from five halves (80 px): its sides lie 45 sin(30) nearer and farther
    expected = (1 + 45 / 80 * math.sin(math.radians(30)) / 5) / (1 - 45 / 80 * math.sin(math.radians(30)) / 5)
    assert top / bottom == pytest.approx(expected, rel=0.02)
    assert len(rows) == pytest.approx(90 * math.cos(math.radians(30)), abs=2.5)


def test_tilt_keeps_the_middle() -> None:
    assert tilt_matrix(Deform(tilt_deg=20.0, tilt_axis_deg=70.0)) @ [0, 0, 1] == pytest.approx([0, 0, 1])


@pytest.mark.parametrize("sign", [1, -1])
def test_bend_turns_the_ends_by_the_angle(sign: int) -> None:
    deform = Deform(bend_deg=sign * 40.0)
    angle, radius = math.radians(20.0), 2 / math.radians(40.0)
    # the arc on which the axis comes to lie, from end to end
    end = (radius * math.sin(angle), sign * radius * (1 - math.cos(angle)))
    x, y = source_of(np.array([0.0, end[0], -end[0]], np.float32), np.array([0.0, end[1], end[1]], np.float32), deform)
    assert x == pytest.approx([0.0, 1.0, -1.0], abs=1e-3)
    assert y == pytest.approx([0.0, 0.0, 0.0], abs=1e-3)
    # across the axis nothing is stretched: the end's corner lies at a right angle to the arc
    inwards = np.array([-math.sin(angle), sign * math.cos(angle)])
    corner = np.array(end) + 0.3 * inwards
    x, y = source_of(np.array([corner[0]], np.float32), np.array([corner[1]], np.float32), deform)
    assert (float(x[0]), float(y[0])) == pytest.approx((1.0, sign * 0.3), abs=1e-3)


def test_crush_shortens_the_zone_and_widens_it() -> None:
    step = np.array([-0.01, 0.01], np.float32)
    zero = np.zeros(2, np.float32)
    along = source_of(step, zero, Deform(crush=0.4))[0]
    across = source_of(zero, step, Deform(crush=0.4))[1]
    assert float(np.diff(step)[0] / np.diff(along)[0]) == pytest.approx(0.6, rel=0.01)
    assert float(np.diff(step)[0] / np.diff(across)[0]) == pytest.approx(1.25, rel=0.01)


def test_dent_pushes_the_outline_in() -> None:
    whole = np.count_nonzero(in_frame(bent(None)))
    dented = in_frame(bent(Deform(dents=((0.0, -0.56, 0.0, 0.15, 0.3),)))) > 0
    assert np.count_nonzero(dented) < 0.97 * whole
    assert not dented[257, 400]  # the upper edge lies at 255; the dent is 12 px deep there
    assert dented[257, 325]


LIMITS = {"deform": {**STRONG["deform"], "dents": [0, 8], "dent_depth": 0.2, "ripple": 0.05}}


@pytest.mark.parametrize("wild", [LIMITS, {"deform": {**LIMITS["deform"], "class_strength": {"can": 2}}}])
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_nothing_folds(wild: dict[str, object], seed: int) -> None:
    y, x = np.mgrid[-1:1:60j, -1:1:60j].astype(np.float32)
    from_x, from_y = source_of(x, y, drawn(seed, wild))
    (x_y, x_x), (y_y, y_x) = np.gradient(from_x), np.gradient(from_y)
    assert (x_x * y_y - x_y * y_x).min() > 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 360))
def test_nothing_is_cut_off(seed: int, angle_deg: float) -> None:
    deform = drawn(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warp_module, "NODE_PX", 1)  # the nodes lie elsewhere in a larger patch
        usual = in_frame(bent(deform, angle_deg=angle_deg))
        patch.setattr(warp_module, "largest_reach", lambda own, aspect: 1.5 * largest_reach(own, aspect) + 0.2)
        generous = in_frame(bent(deform, angle_deg=angle_deg))
    assert np.count_nonzero(usual != generous) <= 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_coarse_nodes_are_as_good_as_every_pixel(seed: int) -> None:
    deform = drawn(seed, {"deform": {"probability": 1.0}})
    usual = in_frame(bent(deform, angle_deg=30.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warp_module, "NODE_PX", 1)
        exact = in_frame(bent(deform, angle_deg=30.0))
    assert np.count_nonzero(usual != exact) < 0.01 * np.count_nonzero(exact)


def test_silhouette_moves_with_the_pixels() -> None:
    mask = np.zeros((90, 160), np.bool_)
    mask[:, :80] = True
    half = BOX.copy()
    half[~mask, 3] = 0
    facts = facts_of("can/a", half, mask)
    for seed in range(5):
        placement = placed("can/a", (300.0, 200.0), deform=drawn(seed), angle_deg=50.0)
        patch = warp(placement, facts, reduce(half, mask, 0))
        assert np.array_equal(patch.silhouette > 0, patch.alpha > 127)


def test_rigid_classes_are_not_bent() -> None:
    settings_ = {"probability": 1.0, "class_strength": {"can": 0}}
    tilted = drawn(0, {"deform": settings_})
    assert tilted.tilt_deg > 0
    assert (tilted.bend_deg, tilted.crush, tilted.dents, tilted.ripples) == (0, 0, (), ())
    config = CompositeConfig.model_validate({"deform": {**settings_, "tilt_deg": 0}})
    assert draw_pose(config, FACTS, 1.0, np.random.default_rng(0)).deform is None
