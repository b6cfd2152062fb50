"""Labels drawn on pictures: a tinted mask, its edge, the box and the class name, in one colour per class."""

import colorsys
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.types import Annotation

__all__ = ["class_colour", "draw_labels", "draw_region", "fit", "write_on_plate"]

TINT = 0.35
FONT = cv2.FONT_HERSHEY_SIMPLEX
FAR_PX = 100_000  # where lines of boxes far outside the picture are drawn; OpenCV takes no larger numbers than 2**31


def class_colour(index: int) -> tuple[int, int, int]:
    """The RGB colour (0..255) of the class at a position from 0: neighbours differ by the golden angle in hue."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + index * 0.381966) % 1.0, 0.85, 1.0 if index % 2 else 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def fit(image_rgb: NDArray[np.uint8], side_px: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with its longer side at most side_px (never enlarged), and the scale that was applied."""
    height, width = image_rgb.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    if scale == 1.0:
        return image_rgb, 1.0
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8), scale


def draw_labels(
    image_rgb: NDArray[np.uint8],
    annotations: Sequence[Annotation],
    categories: Mapping[int, str],
    *,
    side_px: int | None = None,
    names: bool = True,
) -> NDArray[np.uint8]:
    """A copy of an RGB uint8 picture (h, w, 3) with its labels; image_rgb itself is not changed.

    side_px: scale the picture down to this longer side first, so that lines and names stay sharp. names: write the
    class above each box. Annotations without a usable mask get their box only, crowd regions a thin box.
    """
    size_hw = (image_rgb.shape[0], image_rgb.shape[1])
    canvas, scale = fit(image_rgb, side_px) if side_px else (image_rgb, 1.0)
    canvas = canvas.copy()
    thickness = max(1, round(max(canvas.shape[:2]) / 500))
    colours = {key: class_colour(index) for index, key in enumerate(sorted(categories))}
    # large ones first, so that small items in front of them are not covered
    ordered = sorted(annotations, key=lambda annotation: (-annotation.area, annotation.id))
    for annotation in ordered:
        mask = _mask(annotation, size_hw)
        if mask is not None:
            _tint(canvas, mask, colours[annotation.category_id], thickness)
    for annotation in ordered:
        x0, y0, x1, y1 = _edges(annotation, scale)
        # the line lies on the outermost pixels of the half-open box, not outside them
        opposite = max(x0, x1 - 1), max(y0, y1 - 1)
        line = 1 if annotation.iscrowd else thickness
        cv2.rectangle(canvas, (x0, y0), opposite, colours[annotation.category_id], line)
    if names:
        for annotation in ordered:
            x0, y0, _, y1 = _edges(annotation, scale)
            name = categories[annotation.category_id]
            write_on_plate(canvas, name, (x0, y0, y1), colours[annotation.category_id])
    return canvas


def draw_region(
    image_rgb: NDArray[np.uint8],
    polygon_px: Sequence[tuple[float, float]],
    *,
    side_px: int,
    colour: tuple[int, int, int],
) -> NDArray[np.uint8]:
    """A copy of an RGB uint8 picture (h, w, 3) in which all but a region is dimmed, and the region outlined.

    polygon_px: its corners (x, y) in pixels of the picture, pixel edges at integers. side_px: scale the picture down to
    this longer side first. colour: of the outline, RGB 0..255.
    """
    canvas, scale = fit(image_rgb, side_px)
    thickness = max(2, round(max(canvas.shape[:2]) / 300))
    corners = np.clip(np.asarray(polygon_px, np.float64) * scale - 0.5, -FAR_PX, FAR_PX)
    fixed = [np.rint(corners * 16).astype(np.int32)]
    inside = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(inside, fixed, (1,), shift=4)
    drawn = np.where(inside[..., None] > 0, canvas, canvas // 3)
    cv2.polylines(drawn, fixed, True, colour, thickness, cv2.LINE_AA, shift=4)
    return drawn


def _edges(annotation: Annotation, scale: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 in whole pixels of the scaled picture."""
    x, y, width, height = annotation.bbox_xywh
    x0, y0, x1, y1 = (round(min(max(edge * scale, -FAR_PX), FAR_PX)) for edge in (x, y, x + width, y + height))
    return x0, y0, x1, y1


def _mask(annotation: Annotation, size_hw: tuple[int, int]) -> NDArray[np.bool_] | None:
    if not annotation.segmentation or annotation.iscrowd:
        return None
    try:
        return mask_of_segmentation(annotation.segmentation, size_hw)
    except (ValueError, TypeError):
        return None


def _tint(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int], thickness: int) -> None:
    height, width = canvas.shape[:2]
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA) > 0
    blend = canvas[small] * (1 - TINT) + np.array(colour) * TINT
    canvas[small] = np.round(blend).astype(np.uint8)
    outlines, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, colour, max(1, thickness - 1))


def write_on_plate(
    canvas: NDArray[np.uint8], name: str, place: tuple[int, int, int], colour: tuple[int, int, int]
) -> None:
    """Write the name of a box on a plate of its colour, above the box where there is room, otherwise inside or below.

    place: left, top and bottom of the box in pixels of the canvas, RGB uint8 (h, w, 3).
    """
    left, top, bottom = place
    name = name if name.isascii() else name.encode("ascii", "replace").decode()  # OpenCV's fonts know no more
    size = max(0.38, max(canvas.shape[:2]) / 1800)
    (width, height), base = cv2.getTextSize(name, FONT, size, 1)
    plate_px = height + base + 3
    y = top - plate_px if top >= plate_px else min(bottom, canvas.shape[0] - plate_px)
    x = max(0, min(left, canvas.shape[1] - width - 4))
    cv2.rectangle(canvas, (x, y), (x + width + 3, y + plate_px - 1), colour, cv2.FILLED)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 130
    ink = (0, 0, 0) if dark else (255, 255, 255)
    cv2.putText(canvas, name, (x + 2, y + height + 1), FONT, size, ink, 1, cv2.LINE_AA)
