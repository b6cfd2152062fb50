import numpy as np
import pytest

from garbage_synth.report.plot import Line, empty_panel, line_panel, round_ticks

RED, BLUE = (200, 30, 30), (30, 30, 200)
FALLING = np.array([[0.0, 1.0], [1.0, 0.0]])


def where(image: np.ndarray, colour: tuple[int, int, int], rows: slice = slice(37, None)) -> np.ndarray:
    """(y, x) of the pixels of a colour, below the legend."""
    return np.argwhere((image[rows] == colour).all(axis=2))


def test_lines_run_from_corner_to_corner_and_the_words_stand_below_the_limits() -> None:
    image = line_panel("t", [Line("a", FALLING, RED, 2)], x_limits=(0, 1), x_words=("0", "recall 1"), y_limits=(0, 1))
    assert image.shape == (260, 460, 3)
    red = where(image, RED)
    assert red[red[:, 1].argmin()][0] < red[red[:, 1].argmax()][0]  # falls
    assert 50 <= red[:, 1].min() <= 54
    assert 444 <= red[:, 1].max() <= 448
    below = image[240:]
    assert (below[:, 50:60] < 200).any()
    assert (below[:, 400:446] < 200).any()
    assert not (below[:, 80:380] < 200).any()


def test_limits_of_y_are_those_of_the_points_where_none_are_given() -> None:
    flat = Line("a", np.array([[0, 10.0], [4, 10.0]]), RED)
    free = line_panel("t", [flat], x_limits=(0, 4), x_words=("", ""))
    fixed = line_panel("t", [flat], x_limits=(0, 4), x_words=("", ""), y_limits=(0, 100))
    assert where(free, RED)[:, 0].min() > where(fixed, RED)[:, 0].max() + 10  # on the lowest tick, not a tenth above it


def test_a_long_legend_takes_more_rows_and_the_plot_makes_room() -> None:
    lines = [Line(f"class number {n} 0.12", FALLING, (10 * n, 90, 30)) for n in range(9)]
    image = line_panel("t", lines, x_limits=(0, 1), x_words=("0", "1"), size_wh=(460, 320))
    written = (image[:, -4:] < 255).any(axis=2)
    assert not written.any()  # no name runs over the edge
    legend_rows = [(image[y - 8 : y, 52:] == (80, 90, 30)).all(axis=2).any() for y in (32, 46, 60)]
    assert legend_rows == [False, False, True]


def test_a_marked_place_has_a_line_and_few_points_have_dots() -> None:
    plain = line_panel("t", [Line("a", FALLING, BLUE)], x_limits=(0, 1), x_words=("0", "1"))
    marked = line_panel("t", [Line("a", FALLING, BLUE)], x_limits=(0, 1), x_words=("0", "1"), marked=(0.5, "best"))
    assert len(where(plain, (180, 140, 20))) == 0
    assert len(where(marked, (180, 140, 20))) > 100
    many = line_panel("t", [Line("a", np.repeat(FALLING, 21, 0), BLUE)], x_limits=(0, 1), x_words=("0", "1"))
    assert len(where(plain, BLUE)) > len(where(many, BLUE))


def test_a_name_that_the_font_does_not_know_is_drawn_all_the_same() -> None:
    line_panel("Gläser", [Line("Flasche ü", FALLING, RED)], x_limits=(0, 1), x_words=("0", "1"))
    assert (empty_panel((100, 40)) == 255).all()
    assert (empty_panel(text="nothing") < 200).any()


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.2, 0.2), (-3.0, 5.0), (1e-9, 2e-9), (-1e6, 1e6), (0.1, 0.47)])
def test_ticks_are_few_and_enclose_the_values(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1] + 1e-9
    assert 2 <= len(ticks) <= 7
