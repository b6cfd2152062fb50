import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.composite.propose import BeltProposal, propose_belt

Corners = list[tuple[float, float]]
DARK, STEEL = (62, 60, 58), (150, 152, 160)


def drawn(
    size_wh: tuple[int, int],
    corners: Corners,
    belt: tuple[int, int, int] = DARK,
    beside: tuple[int, int, int] = STEEL,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """A belt of one colour in a frame of another, with grain and light that falls from left to right."""
    width, height = size_wh
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.rint((np.array(corners) - 0.5) * 16).astype(np.int32)], (1,), shift=4)
    image = np.where(inside[..., None] > 0, np.array(belt, float), np.array(beside, float))
    light = np.linspace(1.1, 0.9, width)[None, :, None]
    grain = np.random.default_rng(seed).normal(0, 3, (height, width, 1))
    return np.clip(image * light + grain, 0, 255).astype(np.uint8)


def overlap(proposal: BeltProposal, corners: Corners, size_wh: tuple[int, int]) -> float:
    """Intersection over union of the proposal and the polygon."""
    masks = []
    for polygon in (proposal.polygon_px, corners):
        mask = np.zeros(size_wh[::-1], np.uint8)
        cv2.fillPoly(mask, [np.rint((np.array(polygon) - 0.5) * 16).astype(np.int32)], (1,), shift=4)
        masks.append(mask > 0)
    return float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


BELTS = {
    "to the right": ((640, 480), [(0, 60), (640, 60), (640, 400), (0, 400)], 0),
    "down": ((480, 640), [(90, 0), (400, 0), (400, 640), (90, 640)], 90),
    "oblique": ((640, 480), [(0, 20), (640, 220), (640, 480), (400, 480), (0, 355)], 17.4),
    "rising": ((640, 480), [(0, 250), (640, 50), (640, 290), (32, 480), (0, 480)], 162.6),
    "in perspective": ((640, 480), [(220, 0), (420, 0), (600, 480), (40, 480)], 90),
    "of a large picture": ((1920, 1280), [(0, 150), (1920, 190), (1920, 1100), (0, 1100)], 0.6),
}


@pytest.mark.parametrize("name", BELTS)
def test_a_belt_between_two_edges_is_found(name: str) -> None:
    size_wh, corners, travel_deg = BELTS[name]
    proposal = propose_belt(drawn(size_wh, corners))
    assert overlap(proposal, corners, size_wh) > 0.98
    assert (proposal.edges, proposal.confidence > 0.6) == (2, True)
    assert proposal.travel_deg is not None
    assert 0 <= proposal.travel_deg < 180
    assert abs((proposal.travel_deg - travel_deg + 90) % 180 - 90) < 2
    assert proposal.reason.startswith("two edges found")


@pytest.mark.parametrize("turn", range(4))
def test_one_edge_leaves_the_other_sides_and_says_no_direction(turn: int) -> None:
    image = np.rot90(drawn((400, 400), [(0, 90), (400, 110), (400, 400), (0, 400)]), turn)
    proposal = propose_belt(np.ascontiguousarray(image))
    inside = np.zeros((400, 400), np.uint8)
    cv2.fillPoly(inside, [np.rint(np.array(proposal.polygon_px)).astype(np.int32)], (1,))
    truth = np.rot90(np.arange(400)[:, None] > 90 + np.arange(400) / 20, turn)
    assert (inside == truth).mean() > 0.98
    assert (proposal.edges, proposal.travel_deg) == (1, None)
    assert proposal.reason.startswith("one edge found")


def test_a_belt_that_fills_the_frame_is_the_whole_frame_with_low_confidence() -> None:
    frame = [(0.0, 0.0), (320.0, 0.0), (320.0, 240.0), (0.0, 240.0)]
    proposal = propose_belt(drawn((320, 240), frame))
    assert list(proposal.polygon_px) == frame
    assert (proposal.edges, proposal.travel_deg) == (0, None)
    assert proposal.confidence < 0.2
    assert "whole frame" in proposal.reason


def test_streaks_cracks_and_shade_of_a_belt_are_no_edges() -> None:
    image = drawn((640, 480), [(0, 0), (640, 0), (640, 480), (0, 480)], belt=(120, 118, 115)).astype(float)
    for top, thick, light in ((60, 12, 1.2), (130, 4, 0.3), (200, 20, 0.85), (330, 5, 0.3), (410, 14, 1.2)):
        image[top : top + thick] *= light
    image *= np.linspace(0.9, 1.1, 480)[:, None, None]
    assert propose_belt(np.clip(image, 0, 255).astype(np.uint8)).edges == 0


def test_a_faint_edge_is_found_with_less_confidence() -> None:
    size_wh, corners, _ = BELTS["to the right"]
    clear = propose_belt(drawn(size_wh, corners))
    faint = propose_belt(drawn(size_wh, corners, beside=(84, 86, 92)))
    assert overlap(faint, corners, size_wh) > 0.98
    assert 0.3 < faint.confidence < clear.confidence


def test_colour_alone_makes_an_edge() -> None:
    size_wh, corners, _ = BELTS["down"]
    proposal = propose_belt(drawn(size_wh, corners, belt=(60, 105, 80), beside=(60, 92, 150)))
    assert overlap(proposal, corners, size_wh) > 0.98


def test_of_the_lines_of_a_rail_the_innermost_is_the_belts() -> None:
    size_wh, corners, _ = BELTS["to the right"]
    image = drawn(size_wh, corners)
    image[400:424] = (200, 170, 60)
    image[36:60] = (200, 170, 60)
    assert overlap(propose_belt(image), corners, size_wh) > 0.98


def test_an_item_on_the_belt_changes_nothing() -> None:
    size_wh, corners, _ = BELTS["to the right"]
    image = drawn(size_wh, corners)
    cv2.rectangle(image, (90, 150), (170, 260), (220, 60, 40), cv2.FILLED)
    assert overlap(propose_belt(image), corners, size_wh) > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 3), (8, 8), (23, 40), (30, 30), (2000, 20)])
def test_a_picture_of_any_size_and_one_colour_gives_the_frame(shape: tuple[int, int]) -> None:
    height, width = shape
    for level in (0, 128, 255):
        proposal = propose_belt(np.full((height, width, 3), level, np.uint8))
        assert proposal.polygon_px == ((0, 0), (width, 0), (width, height), (0, height))


def test_corners_lie_in_the_frame_and_the_middle_in_the_polygon() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        blocks = cv2.resize(rng.integers(0, 256, (3, 4, 3)).astype(np.uint8), (200, 150), interpolation=cv2.INTER_CUBIC)
        proposal = propose_belt(np.asarray(blocks, np.uint8))
        corners = np.array(proposal.polygon_px)
        assert ((corners >= 0) & (corners <= (200, 150))).all()
        assert cv2.pointPolygonTest(corners.astype(np.float32), (100, 75), False) > 0
        assert 0 <= proposal.confidence <= 1


def test_the_same_picture_gives_the_same_proposal() -> None:
    size_wh, corners, _ = BELTS["oblique"]
    image = drawn(size_wh, corners)
    assert propose_belt(image) == propose_belt(image.copy())


def test_edges_that_meet_in_the_picture_are_not_the_two_of_one_belt() -> None:
    corner = propose_belt(drawn((400, 400), [(0, 80), (320, 80), (320, 400), (0, 400)]))
    assert (corner.edges, corner.travel_deg) == (1, None)
