import numpy as np
import pytest

from garbage_synth.fidelity.motion import Similarity, fit_similarity


def flow_of(motion: Similarity, places: np.ndarray) -> np.ndarray:
    return np.array([motion(x, y) for x, y in places]) - places


@pytest.mark.parametrize(
    "motion", [Similarity(), Similarity(1.08, 0.05, -60.0, 12.0), Similarity(0.9, -0.1, 30.0, 41.0)]
)
def test_the_motion_that_most_agree_with_is_found_among_outliers(motion: Similarity) -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform((300, 200), (360, 290), (800, 2))
    flow = flow_of(motion, places) + rng.normal(0, 0.1, places.shape)
    flow[:240] = rng.uniform(-15, 15, (240, 2))
    found = fit_similarity(places, flow, np.ones(800), shift_only=False)
    corners = np.array([(300, 200), (360, 290), (330, 245)])
    assert np.abs(flow_of(found, corners) - flow_of(motion, corners)).max() < 0.15
    assert found.scale == pytest.approx(motion.scale, abs=0.005)


def test_shift_only_neither_turns_nor_scales() -> None:
    places = np.random.default_rng(0).uniform(0, 20, (50, 2))
    found = fit_similarity(places, 0.1 * places, np.ones(50), shift_only=True)
    assert (found.a, found.b) == (1.0, 0.0)


def test_weights_decide_between_two_motions() -> None:
    places = np.random.default_rng(0).uniform(0, 40, (100, 2))
    flow = np.repeat([[6.0, 0.0], [0.0, -4.0]], 50, axis=0)
    weights = np.repeat([0.1, 1.0], 50)
    assert fit_similarity(places, flow, weights, shift_only=True).shift_px(20, 20) == pytest.approx(4, abs=0.3)


def test_a_mask_is_carried_to_where_fetch_looks() -> None:
    motion = Similarity(1.1, 0.08, 5.0, -7.0)
    mask = np.zeros((120, 160), np.bool_)
    mask[40:80, 50:110] = True
    carried = motion.carry(mask)
    back = motion.fetch(carried.astype(np.float32), (0, 0, 160, 120)) > 0.5
    assert (back & mask).sum() / (back | mask).sum() > 0.97
    window = motion.fetch(carried.astype(np.float32), (45, 35, 60, 50)) > 0.5
    assert np.array_equal(window, back[35:50, 45:60])


def test_standing_still_carries_the_mask_unchanged() -> None:
    mask = np.random.default_rng(0).random((30, 40)) > 0.5
    assert np.array_equal(Similarity().carry(mask), mask)
