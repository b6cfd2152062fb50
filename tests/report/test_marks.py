import numpy as np
import pytest

from garbage_synth.report.marks import Mark, draw_marks, sheet

GRAY = np.full((120, 160, 3), 100, np.uint8)
GREEN, RED, WHITE = (60, 200, 90), (240, 50, 50), (255, 255, 255)


def of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((image == colour).all(axis=2))


def test_a_box_lies_on_the_outermost_pixels_below_the_title() -> None:
    drawn = draw_marks(GRAY, [Mark((20, 30, 60, 70), GREEN)], "a.jpg: 1 found", side_px=500)
    title_px = drawn.shape[0] - GRAY.shape[0]
    green = of(drawn[title_px:], GREEN)
    assert (green.min(0).tolist(), green.max(0).tolist()) == ([30, 20], [69, 59])
    assert (drawn[:title_px] > 150).any()
    assert (GRAY == 100).all()


def test_marks_shrink_with_the_picture() -> None:
    drawn = draw_marks(GRAY, [Mark((20, 30, 60, 70), GREEN)], "", side_px=80)
    assert drawn.shape[1] == 80
    assert of(drawn, GREEN)[:, 1].max() == 29


def test_a_dashed_box_alternates_with_white_and_a_text_stands_on_a_plate() -> None:
    whole = draw_marks(GRAY, [Mark((20, 30, 120, 100), RED, width_px=3)], "", side_px=500)
    dashed = draw_marks(GRAY, [Mark((20, 30, 120, 100), RED, width_px=3, dashed=True)], "", side_px=500)
    assert len(of(whole, WHITE)) == 0
    assert 0.3 < len(of(dashed, WHITE)) / len(of(whole, RED)) < 0.7
    assert len(of(dashed, RED)) > 0.3 * len(of(whole, RED))
    named = draw_marks(GRAY, [Mark((20, 30, 120, 100), RED, "can", width_px=3)], "", side_px=500)
    assert len(of(named, RED)) > len(of(whole, RED))


def test_boxes_beyond_the_picture_are_drawn_as_far_as_it_goes() -> None:
    drawn = draw_marks(GRAY, [Mark((-1e12, 30, 1e12, 70), RED, dashed=True)], "", side_px=500)
    assert len(of(drawn, RED)) > 0


def test_a_sheet_holds_every_picture_below_a_heading() -> None:
    cells = [np.full((40 + n, 60, 3), 50 * (n + 1), np.uint8) for n in range(3)]
    drawn = sheet(cells, [("found", GREEN), ("missed", RED)])
    for n, cell in enumerate(cells):
        assert len(of(drawn, (50 * (n + 1),) * 3)) >= cell.shape[0] * cell.shape[1]
    heading = drawn[: drawn.shape[0] - (41 + 42 + 8)]
    assert (heading[..., 1] > 150).any()
    assert (heading[..., 0] > 150).any()
    with pytest.raises(ValueError, match="empty"):
        sheet([], [])
