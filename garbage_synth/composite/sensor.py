"""The camera: gain, blur and noise over the whole picture."""

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.scene import Camera

__all__ = ["NOISE_SHIFT_PX", "expose"]

NOISE_SHIFT_PX = 64  # noise_xy is drawn from 0 .. NOISE_SHIFT_PX - 1
_TILE_SIGMA = 32.0


def expose(image_rgb: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """The picture, RGB uint8 (h, w, 3), as the camera delivers it, before JPEG. The input is left as it is."""
    out: NDArray[Any] = image_rgb
    if camera.motion_px > 1:
        out = cv2.filter2D(
            out, -1, _line_kernel(camera.motion_px, camera.motion_deg), borderType=cv2.BORDER_REFLECT_101
        )
    if camera.defocus_px > 0:
        side = max(5, 2 * math.ceil(2 * camera.defocus_px) + 1)
        out = cv2.GaussianBlur(out, (side, side), camera.defocus_px)
    if camera.vignette > 0:
        height, width = out.shape[:2]
        light = cv2.convertScaleAbs(_corner_falloff(height, width), alpha=-camera.vignette, beta=255)
        out = cv2.multiply(out, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    if camera.gain_rgb != (1.0, 1.0, 1.0):
        out = cv2.transform(out, np.diag(camera.gain_rgb))  # four times as fast as a table
    if camera.noise > 0:
        height, width = out.shape[:2]
        x, y = camera.noise_xy
        tile = _noise_tile(_rounded_up(height), _rounded_up(width))[y : y + height, x : x + width]
        strength = camera.noise / _TILE_SIGMA
        out = cv2.addWeighted(out, 1.0, tile, strength, -128 * strength)
    return np.asarray(out, np.uint8)


def _rounded_up(side_px: int) -> int:
    """To steps of 256, so that belts of many sizes share a few tiles."""
    return -(-side_px // 256) * 256


def _line_kernel(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """A kernel that averages along a line of length_px; its weights add up to 1."""
    radius = math.ceil(length_px / 2)
    kernel: NDArray[np.float32] = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    dx, dy = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    for offset in np.linspace(-(length_px - 1) / 2, (length_px - 1) / 2, 16):
        x, y = radius + offset * dx, radius + offset * dy
        left, top = math.floor(x), math.floor(y)
        for row, column, weight in (
            (top, left, (1 - (y - top)) * (1 - (x - left))),
            (top, left + 1, (1 - (y - top)) * (x - left)),
            (top + 1, left, (y - top) * (1 - (x - left))),
            (top + 1, left + 1, (y - top) * (x - left)),
        ):
            if weight > 0:
                kernel[row, column] += weight
    return np.asarray(kernel / kernel.sum(), np.float32)


@lru_cache(maxsize=4)
def _corner_falloff(height: int, width: int) -> NDArray[np.uint8]:
    """Squared distance from the middle, uint8 (height, width), 255 at the corners: the first term of cos^4."""
    y, x = np.linspace(-1, 1, height)[:, None] * height, np.linspace(-1, 1, width)[None, :] * width
    return np.asarray(np.rint(255 * (x * x + y * y) / (height**2 + width**2)), np.uint8)


@lru_cache(maxsize=4)
def _noise_tile(height: int, width: int) -> NDArray[np.uint8]:
    """Noise about 128 with sigma _TILE_SIGMA, uint8 (height + shift, width + shift, 3), the same in every process.

    Two thirds of it are common to the channels and neighbours are slightly correlated, as after demosaicing.
    """
    rng = np.random.default_rng(20211)
    shape = (height + NOISE_SHIFT_PX, width + NOISE_SHIFT_PX)
    common = rng.standard_normal((*shape, 1), np.float32)
    own = rng.standard_normal((*shape, 3), np.float32)
    noise = cv2.GaussianBlur(0.8 * common + 0.6 * own, (3, 3), 0.5)
    return np.asarray(np.clip(128 + noise * (_TILE_SIGMA / noise.std()), 0, 255), np.uint8)
