"""Lines over a common axis as a small picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["PANEL_WH", "Line", "empty_panel", "line_panel", "round_ticks", "text_width", "write_text"]

PANEL_WH = (460, 260)
_LEFT, _RIGHT, _BOTTOM = 52, 14, 26
_TITLE_Y, _LEGEND_Y, _LEGEND_STEP = 16, 32, 14
_MOST_DOTS = 40
_INK, _GRID, _MARK = (60, 60, 60), (225, 225, 225), (180, 140, 20)


@dataclass(frozen=True, slots=True)
class Line:
    """One line. name: stands in the legend; points: (n, 2), n >= 1, x and y, none of them NaN; colour: RGB 0..255."""

    name: str
    points: NDArray[np.float64]
    colour: tuple[int, int, int]
    width_px: int = 1


def line_panel(
    title: str,
    lines: Sequence[Line],
    *,
    x_limits: tuple[float, float],
    x_words: tuple[str, str],
    y_limits: tuple[float, float] | None = None,
    marked: tuple[float, str] | None = None,
    size_wh: tuple[int, int] = PANEL_WH,
) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3): title, legend in the colours of the lines, and the lines over a grid of round values.

    x_words: written below the two x_limits. y_limits: None = those of the points. marked: an x with a vertical line and
    its word. Lines of up to 40 points have dots too. The legend takes as many rows as it needs.
    """
    width, height = size_wh
    canvas = empty_panel(size_wh)
    write_text(canvas, title, (_LEFT, _TITLE_Y), _INK, 0.45)
    top = _legend(canvas, lines) + 8
    low, high = y_limits or (min(own.points[:, 1].min() for own in lines), max(own.points[:, 1].max() for own in lines))
    ticks = round_ticks(float(low), float(high))

    def place(points: NDArray[np.float64]) -> NDArray[np.int32]:
        x = _LEFT + (points[:, 0] - x_limits[0]) / (x_limits[1] - x_limits[0]) * (width - _LEFT - _RIGHT)
        y = height - _BOTTOM - (points[:, 1] - ticks[0]) / (ticks[-1] - ticks[0]) * (height - top - _BOTTOM)
        return np.stack([x, y], 1).round().astype(np.int32)

    for tick in ticks:
        y = int(place(np.array([[x_limits[0], tick]]))[0, 1])
        cv2.line(canvas, (_LEFT, y), (width - _RIGHT, y), _GRID, 1)
        write_text(canvas, f"{tick:.3g}", (4, y + 4), _INK, 0.36)
    if marked is not None:
        x = int(place(np.array([[marked[0], ticks[0]]]))[0, 0])
        cv2.line(canvas, (x, top), (x, height - _BOTTOM), _MARK, 1)
        write_text(canvas, marked[1], (x + 3, height - _BOTTOM - 4), _MARK, 0.36)
    for line in lines:
        placed = place(line.points)
        cv2.polylines(canvas, [placed], False, line.colour, line.width_px, cv2.LINE_AA)
        if len(placed) <= _MOST_DOTS:
            for across, down in placed:
                cv2.circle(canvas, (int(across), int(down)), 2, line.colour, -1, cv2.LINE_AA)
    write_text(canvas, x_words[0], (_LEFT, height - 8), _INK, 0.36)
    write_text(canvas, x_words[1], (width - _RIGHT - text_width(x_words[1], 0.36), height - 8), _INK, 0.36)
    return canvas


def empty_panel(size_wh: tuple[int, int] = PANEL_WH, text: str = "") -> NDArray[np.uint8]:
    """White RGB uint8 (h, w, 3) with a word in it."""
    width, height = size_wh
    canvas = np.full((height, width, 3), 255, np.uint8)
    write_text(canvas, text, (_LEFT, height // 2), _INK, 0.45)
    return canvas


def _legend(canvas: NDArray[np.uint8], lines: Sequence[Line]) -> int:
    """Write the names of the lines; the y of the last row."""
    x, y = _LEFT, _LEGEND_Y
    for line in lines:
        if x > _LEFT and x + text_width(line.name, 0.38) > canvas.shape[1] - 4:
            x, y = _LEFT, y + _LEGEND_STEP
        write_text(canvas, line.name, (x, y), line.colour, 0.38)
        x += text_width(line.name, 0.38) + 12
    return y


def round_ticks(low: float, high: float) -> list[float]:
    """Round values from below `low` to above `high`, 3 to 6 of them."""
    span = max(high - low, 1e-3 * abs(high), 1e-6)
    step = 10 ** math.floor(math.log10(span))
    step = next(step * factor for factor in (0.2, 0.5, 1, 2, 5) if span / (step * factor) <= 4)
    first, final = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(first, max(final, first + 1) + 1)]


def write_text(
    canvas: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float
) -> None:
    """Write from `at`, its lower left corner."""
    text = text.encode("ascii", "replace").decode()  # OpenCV's fonts know no more
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def text_width(text: str, size: float) -> int:
    """The pixels that a written text takes from left to right."""
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])
