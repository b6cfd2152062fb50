"""Verdicts drawn on a picture and its rewriting, side by side."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.fidelity.verdicts import Box, FrameVerdict, Label

__all__ = ["COLOURS", "contact_sheet", "draw_verdict"]

COLOURS = {"accepted": (60, 200, 90), "adjusted": (250, 190, 40), "dropped": (240, 60, 60), "invented": (80, 160, 255)}
"""RGB of each status, and of invented things."""
SIDE_PX = 800
GAP_PX = 4
TITLE_PX = 22
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_verdict(
    before_rgb: NDArray[np.uint8],
    after_rgb: NDArray[np.uint8],
    labels: Sequence[Label],
    verdict: FrameVerdict,
    title: str,
) -> NDArray[np.uint8]:
    """The two pictures beside each other below a title, RGB uint8 (h, w, 3), each at most SIDE_PX wide.

    Left the labels as they were, right as they are judged: the box that holds, the outline of an adjusted mask, and
    likeness e. A dropped label is crossed out; invented things have a box of their own.
    """
    scale = min(1.0, SIDE_PX / before_rgb.shape[1])
    left, right = _fit(before_rgb, scale), _fit(after_rgb, scale)
    for label, own in zip(labels, verdict.verdicts, strict=True):
        colour = COLOURS[own.status]
        _box(left, label.box_xyxy, scale, colour)
        corner, opposite = _box(right, own.box_xyxy, scale, colour)
        if own.status == "dropped":
            cv2.line(right, corner, opposite, colour, 1, cv2.LINE_AA)
        if own.mask is not None:
            small = cv2.resize(own.mask.astype(np.uint8), right.shape[1::-1], interpolation=cv2.INTER_AREA)
            outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(right, outlines, -1, colour, 1)
        _write(right, f"{own.e:.2f}", (corner[0] + 2, corner[1] + 12), colour)
    for region in verdict.invented:
        corner, _ = _box(right, region.box_xyxy, scale, COLOURS["invented"])
        _write(right, f"new {region.score:.1f}", (corner[0] + 2, corner[1] + 12), COLOURS["invented"])
    left, right = np.pad(left, ((TITLE_PX, 0), (0, GAP_PX), (0, 0))), np.pad(right, ((TITLE_PX, 0), (0, 0), (0, 0)))
    pair = np.hstack([left, right])
    _write(pair, title, (4, TITLE_PX - 7), (230, 230, 230))
    return pair


def contact_sheet(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """RGB uint8 pictures (h, w, 3) below each other, the narrower ones with black at their right.

    Raises ValueError where there is none.
    """
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, GAP_PX), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _fit(image_rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size_wh = max(1, round(image_rgb.shape[1] * scale)), max(1, round(image_rgb.shape[0] * scale))
    return np.array(cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _box(
    canvas: NDArray[np.uint8], box_xyxy: Box, scale: float, colour: tuple[int, int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Draw a box; its first and last corner on the canvas."""
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = (round(edge * scale) for edge in box_xyxy)
    corner = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    opposite = min(max(x1 - 1, 0), width - 1), min(max(y1 - 1, 0), height - 1)
    cv2.rectangle(canvas, corner, opposite, colour, 1)
    return corner, opposite


def _write(canvas: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    text = text.encode("ascii", "replace").decode()  # OpenCV's fonts know no more
    cv2.putText(canvas, text, place, FONT, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, place, FONT, 0.4, colour, 1, cv2.LINE_AA)
