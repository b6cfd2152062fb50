"""Boxes of several kinds drawn on pictures, and many such pictures on one sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.report.draw import FAR_PX, fit, write_on_plate
from garbage_synth.report.plot import text_width, write_text

__all__ = ["Mark", "draw_marks", "sheet"]

_TITLE_PX, _GAP_PX, _DASH_PX, _LETTERS = 22, 4, 7, 0.42
_PALE, _WHITE = (230, 230, 230), (255, 255, 255)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """One box, half-open pixels of the picture. text: on a plate beside it; dashed: the line alternates with white."""

    box_xyxy: Sequence[float]
    colour: Colour
    text: str = ""
    width_px: int = 1
    dashed: bool = False


def draw_marks(image_rgb: NDArray[np.uint8], marks: Sequence[Mark], title: str, *, side_px: int) -> NDArray[np.uint8]:
    """The RGB uint8 picture (h, w, 3), its longer side at most side_px, with its marks below a title; later ones lie
    above earlier ones, and every text above all boxes."""
    canvas, scale = fit(image_rgb, side_px)
    canvas = canvas.copy()
    placed = [(mark, _corners(mark, scale)) for mark in marks]
    for mark, (x0, y0, x1, y1) in placed:
        corners = (x0, y0), (max(x0, x1 - 1), max(y0, y1 - 1))  # on the outermost pixels of the half-open box
        cv2.rectangle(canvas, *corners, mark.colour, mark.width_px)
        if mark.dashed:
            _dash(canvas, *corners, mark.width_px)
    for mark, (x0, y0, _, y1) in placed:
        if mark.text:
            write_on_plate(canvas, mark.text, (x0, y0, y1), mark.colour)
    canvas = np.pad(canvas, ((_TITLE_PX, 0), (0, 0), (0, 0)))
    _write(canvas, title, 4, _PALE)
    return canvas


def sheet(
    cells: Sequence[NDArray[np.uint8]], heading: Sequence[tuple[str, Colour]], *, columns: int = 2
) -> NDArray[np.uint8]:
    """RGB uint8 pictures (h, w, 3) beside and below each other on black, below a line of coloured words.

    Raises ValueError where there is no picture.
    """
    wide = max(cell.shape[1] for cell in cells) + _GAP_PX
    rows = []
    for start in range(0, len(cells), columns):
        row = cells[start : start + columns]
        high = max(cell.shape[0] for cell in row) + _GAP_PX
        row = [_padded(cell, high, wide) for cell in row]
        rows.append(np.hstack(row + [np.zeros_like(row[0])] * (columns - len(row))))
    top = np.zeros((_TITLE_PX, rows[0].shape[1], 3), np.uint8)
    x = 4
    for text, colour in heading:
        x = _write(top, text, x, colour) + 16
    return np.vstack([top, *rows])


def _corners(mark: Mark, scale: float) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(min(max(edge * scale, -FAR_PX), FAR_PX)) for edge in mark.box_xyxy)
    return x0, y0, x1, y1


def _dash(canvas: NDArray[np.uint8], corner: tuple[int, int], opposite: tuple[int, int], width_px: int) -> None:
    """White stretches along the sides of a rectangle."""
    (x0, y0), (x1, y1) = corner, opposite
    for x in range(max(x0, 0), min(x1, canvas.shape[1]), 2 * _DASH_PX):
        for y in (y0, y1):
            cv2.line(canvas, (x, y), (min(x + _DASH_PX, x1), y), _WHITE, width_px)
    for y in range(max(y0, 0), min(y1, canvas.shape[0]), 2 * _DASH_PX):
        for x in (x0, x1):
            cv2.line(canvas, (x, y), (x, min(y + _DASH_PX, y1)), _WHITE, width_px)


def _padded(cell: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.pad(cell, ((0, height - cell.shape[0]), (0, width - cell.shape[1]), (0, 0)))


def _write(canvas: NDArray[np.uint8], text: str, x: int, colour: Colour) -> int:
    """Write in the title's row from x; where the text ends."""
    write_text(canvas, text, (x, _TITLE_PX - 7), colour, _LETTERS)
    return x + text_width(text, _LETTERS)
