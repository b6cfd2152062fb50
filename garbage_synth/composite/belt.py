"""A belt picture fitted to the frame: which pixels are belt, how large a millimetre is, how its light falls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.types import Background
from garbage_synth.errors import InputError

__all__ = ["BeltPixels", "BeltView", "fit_belt", "fit_pixels", "with_polygons"]

SNAP_FRACTION = 0.02  # a polygon corner this near to the picture's edge means the edge: belts run through the picture
FIELD_CELL_PX = 16
LEAST_ZOOM = 0.2
NEARLY_IN_LINE = 0.15  # places that scatter less across their line than this part of along it say nothing across


@dataclass(frozen=True, slots=True)
class BeltView:
    """The geometry of one belt in the frame.

    size_wh: the frame. scale: frame pixels per pixel of the photo; offset_xy_px: frame position of the photo's corner.
    polygon_px: corners of the belt in the frame, (x, y); may reach outside it. mm_per_px: in the middle of the frame,
    or None; zoom_xy: how much larger things are seen per frame pixel to the right and down, as a part of their size in
    the middle. travel_deg: 0 = +x, 90 = +y, or None.
    """

    background: Background
    size_wh: tuple[int, int]
    scale: float
    offset_xy_px: tuple[float, float]
    polygon_px: tuple[tuple[float, float], ...]
    mm_per_px: float | None
    travel_deg: float | None
    zoom_xy: tuple[float, float] = (0.0, 0.0)

    def zoom_at(self, x: float, y: float) -> float:
        """How much larger than in the middle of the frame things are seen at (x, y): pixels per millimetre of a plane
        seen by a pinhole camera are linear in the picture. Beyond the frame it stays as at its edge."""
        width, height = self.size_wh
        aside, below = min(max(x, 0), width) - width / 2, min(max(y, 0), height) - height / 2
        return 1 + self.zoom_xy[0] * aside + self.zoom_xy[1] * below


@dataclass(frozen=True, slots=True)
class BeltPixels:
    """The pixels of one belt in the frame, RGB uint8 (h, w, 3), and its light at 1/FIELD_CELL_PX of the size.

    lab_small: float32 (h', w', 3), smoothed CIE Lab of the belt (L 0..100). field_small: float32 (h', w'), the belt's
    light relative to its mean (about 1).
    """

    image_rgb: NDArray[np.uint8]
    lab_small: NDArray[np.float32]
    field_small: NDArray[np.float32]


def with_polygons(
    belts: Sequence[Background], polygons_px: Mapping[str, Sequence[tuple[float, float]]]
) -> tuple[Background, ...]:
    """The belts, where their sidecar names no polygon with that of `polygons_px` (by id: corners in photo pixels)."""
    return tuple(
        replace(belt, polygon_px=tuple(polygons_px[belt.id]))
        if belt.polygon_px is None and belt.id in polygons_px
        else belt
        for belt in belts
    )


def fit_belt(background: Background, size_wh: tuple[int, int] | None) -> BeltView:
    """The belt covering a frame of size_wh (None = its own size): scaled by one factor and cropped about its centre.

    Raises InputError where the belt's polygon lies outside what is left of the picture, or its mm_per_px_at makes
    things vanish within it.
    """
    photo_w, photo_h = background.size_px
    width, height = size_wh or background.size_px
    scale = max(width / photo_w, height / photo_h)
    offset = ((width - photo_w * scale) / 2, (height - photo_h * scale) / 2)
    polygon: tuple[tuple[float, float], ...] = ((0, 0), (photo_w, 0), (photo_w, photo_h), (0, photo_h))
    if background.polygon_px is not None:
        polygon = tuple((_snap(x, photo_w), _snap(y, photo_h)) for x, y in background.polygon_px)
    mm_per_px, zoom_xy = background.belt_mm_per_px, (0.0, 0.0)
    if background.mm_per_px_at:
        mm_per_px, zoom_xy = _perspective(background)
        if 1 - abs(zoom_xy[0]) * photo_w / 2 - abs(zoom_xy[1]) * photo_h / 2 < LEAST_ZOOM:
            raise InputError(
                f"belt {background.file}: mm_per_px_at changes so fast that things would vanish within the picture; "
                "correct the sidecar"
            )
    view = BeltView(
        background=background,
        size_wh=(width, height),
        scale=scale,
        offset_xy_px=offset,
        polygon_px=tuple((x * scale + offset[0], y * scale + offset[1]) for x, y in polygon),
        mm_per_px=None if mm_per_px is None else mm_per_px / scale,
        travel_deg=background.travel_deg,
        zoom_xy=(zoom_xy[0] / scale, zoom_xy[1] / scale),
    )
    if not belt_mask(view, 4).any():
        raise InputError(
            f"belt {background.file}: its polygon_px lies outside the {width}x{height} pixels of the picture that are "
            "used; correct the sidecar or choose another --size"
        )
    return view


def belt_mask(view: BeltView, cell_px: int) -> NDArray[np.uint8]:
    """Where the belt is: uint8 0/1, one value per cell of cell_px frame pixels, (ceil(h / cell), ceil(w / cell))."""
    width, height = view.size_wh
    mask = np.zeros((-(-height // cell_px), -(-width // cell_px)), np.uint8)
    # pixel centres of the cells lie at integers for fillPoly; 4 fractional bits
    corners = np.asarray(view.polygon_px, np.float64) / cell_px - 0.5
    limit = 8.0 * max(mask.shape)
    fixed = np.rint(np.clip(corners, -limit, limit) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], (1,), shift=4)
    return mask


def fit_pixels(photo_rgb: NDArray[np.uint8], view: BeltView) -> BeltPixels:
    """The pixels of a view, from the belt's photo, RGB uint8 (h, w, 3)."""
    width, height = view.size_wh
    if photo_rgb.shape[1::-1] == (width, height):
        image = photo_rgb
    else:
        photo_h, photo_w = photo_rgb.shape[:2]
        scaled_wh = (max(width, round(photo_w * view.scale)), max(height, round(photo_h * view.scale)))
        scaled = cv2.resize(photo_rgb, scaled_wh, interpolation=cv2.INTER_AREA if view.scale < 1 else cv2.INTER_CUBIC)
        left, top = (scaled_wh[0] - width) // 2, (scaled_wh[1] - height) // 2
        image = np.ascontiguousarray(scaled[top : top + height, left : left + width], dtype=np.uint8)
    return BeltPixels(image, *_light_of(image, view))


def _perspective(background: Background) -> tuple[float, tuple[float, float]]:
    """(millimetres per pixel in the middle of the photo, zoom per photo pixel) from mm_per_px_at.

    Pixels per millimetre are taken as linear in the picture and fitted by least squares; what the points leave open,
    such as the change across the line through two of them, is taken as none.
    """
    points = np.asarray(background.mm_per_px_at, np.float64)
    size, center = 1 / points[:, 2], points[:, :2].mean(axis=0)
    slope = np.linalg.pinv(points[:, :2] - center, rcond=NEARLY_IN_LINE) @ (size - size.mean())
    middle = float(size.mean() + slope @ (np.asarray(background.size_px) / 2 - center))
    if middle <= 0:
        return 1.0, (1.0, 1.0)  # vanishes before the middle: refused by the caller
    return 1 / middle, (float(slope[0] / middle), float(slope[1] / middle))


def _light_of(image: NDArray[np.uint8], view: BeltView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mask = belt_mask(view, FIELD_CELL_PX).astype(np.float32)
    small = cv2.resize(image, mask.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    # Blur within the belt only, so that a bright frame beside it does not light it: blur(x m) / blur(m).
    sigma = max(1.0, 0.08 * min(mask.shape))
    weight = cv2.GaussianBlur(mask, (0, 0), sigma) + 1e-3
    mean_lab = np.asarray(cv2.mean(lab, mask.astype(np.uint8))[:3], np.float32)
    smooth = cv2.GaussianBlur(lab * mask[..., None], (0, 0), sigma) + 1e-3 * mean_lab
    smooth_lab = (smooth / weight[..., None]).astype(np.float32)
    # L is a cube root of light; items are lit by the light itself, and their 8-bit values go about with its root.
    field = np.clip((smooth_lab[..., 0] + 5) / (mean_lab[0] + 5), 0.5, 1.8).astype(np.float32)
    return smooth_lab, field


def _snap(value: float, side: int) -> float:
    """value, or far outside the picture where it is within SNAP_FRACTION of its edge."""
    if value <= SNAP_FRACTION * side:
        return min(value, 0.0)
    if value >= (1 - SNAP_FRACTION) * side:
        return max(value, float(side))
    return value
