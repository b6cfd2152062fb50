"""What a camera adds to light: motion blur, lens fall-off, noise. All in display space, on uint8 RGB (h, w, 3)."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["jpeg_bytes", "through_camera"]


def through_camera(
    image_rgb: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    blur_px: float,
    travel_deg: float,
    noise: float,
    vignette: float,
    softness_px: float,
) -> NDArray[np.uint8]:
    """The picture as the sensor reads it.

    blur_px: length of the motion streak along travel_deg, centred, so that masks stay in its middle; noise: standard
    deviation at mid grey, in levels of 255; vignette: loss of light in the corners, 0..1; softness_px: lens blur sigma.
    """
    picture = image_rgb.astype(np.float32)
    if softness_px > 0.05:
        picture = cv2.GaussianBlur(picture, (0, 0), softness_px)
    if blur_px > 0.1:
        picture = cv2.filter2D(picture, -1, _streak(blur_px, travel_deg), borderType=cv2.BORDER_REFLECT)
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    picture *= (1 - vignette * (x * x + y * y) / 2)[..., None]
    shot = rng.standard_normal(picture.shape, np.float32) * np.sqrt(0.35 + 0.65 * np.clip(picture, 0, 255) / 128)
    shared = cv2.GaussianBlur(rng.standard_normal(picture.shape[:2], np.float32), (0, 0), 0.6)[..., None]
    picture += noise * (0.75 * shot + 1.2 * shared)
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def jpeg_bytes(image_rgb: NDArray[np.uint8], quality: int) -> bytes:
    """The picture as a baseline JPEG with 4:2:0 chroma."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _streak(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """A motion kernel of unit sum: a line of `length_px` through the centre, sub-pixel lengths included."""
    radius = int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for step in np.linspace(-length_px / 2, length_px / 2, 4 * radius + 9):
        x = radius + step * np.cos(np.radians(angle_deg))
        y = radius + step * np.sin(np.radians(angle_deg))
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        for row, column, weight in (
            (y0, x0, (1 - (x - x0)) * (1 - (y - y0))),
            (y0, x0 + 1, (x - x0) * (1 - (y - y0))),
            (y0 + 1, x0, (1 - (x - x0)) * (y - y0)),
            (y0 + 1, x0 + 1, (x - x0) * (y - y0)),
        ):
            kernel[min(row, 2 * radius), min(column, 2 * radius)] += weight
    return kernel / kernel.sum()
