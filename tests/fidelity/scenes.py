"""Items drawn on a belt, again and again: moved, erased, relit, with the truth known to the pixel."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import box_of_mask
from garbage_synth.fidelity.verdicts import Label
from tests.makers import belt_rgb

__all__ = ["Item", "draw", "label_of", "mask_of", "relit"]

SIZE_WH = (240, 180)


@dataclass(frozen=True)
class Item:
    """A rounded rectangle; texture: 8-bit steps of a pattern on it."""

    x: float = 120.0
    y: float = 90.0
    half_width: float = 32.0
    half_height: float = 22.0
    colour: float = 150.0
    texture: float = 30.0
    scale: float = 1.0

    def moved(self, x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> "Item":
        return replace(self, x=self.x + x, y=self.y + y, scale=self.scale * scale)


def coverage(item: Item, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """How far each pixel belongs to the item, 0..1."""
    y, x = np.mgrid[: size_wh[1], : size_wh[0]] + 0.5
    across = np.abs(x - item.x) / item.scale - item.half_width
    down = np.abs(y - item.y) / item.scale - item.half_height
    outside = (
        np.hypot(np.maximum(across + 6, 0), np.maximum(down + 6, 0)) + np.minimum(np.maximum(across, down) + 6, 0) - 6
    )
    return np.clip(0.5 - outside * item.scale, 0, 1)


def draw(items: list[Item], *, seed: int = 0, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    """The belt with the items, RGB uint8 (h, w, 3); the seed is that of the belt's grain."""
    image = belt_rgb(*size_wh, seed).astype(np.float64)
    y, x = np.mgrid[: size_wh[1], : size_wh[0]] + 0.5
    for item in items:
        u, v = (x - item.x) / item.scale, (y - item.y) / item.scale
        pattern = item.texture * np.sin(u / 3.1 + 1.3 * np.sin(v / 5.3)) * np.cos(v / 3.7 + u / 9.0)
        image += (item.colour + pattern - image.transpose(2, 0, 1)).transpose(1, 2, 0) * coverage(item, size_wh)[
            ..., None
        ]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def mask_of(item: Item, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.bool_]:
    return coverage(item, size_wh) >= 0.5


def label_of(item: Item, size_wh: tuple[int, int] = SIZE_WH) -> Label:
    mask = mask_of(item, size_wh)
    box = box_of_mask(mask)
    assert box is not None
    return Label(box, mask)


def relit(image_rgb: NDArray[np.uint8], seed: int = 1) -> NDArray[np.uint8]:
    """Another tone curve, a field of light, a shadow across, blur and noise."""
    height, width = image_rgb.shape[:2]
    toned = 255 * (image_rgb / 255.0) ** 0.8 * (0.9, 1.0, 1.15)
    toned *= np.linspace(0.8, 1.2, width)[None, :, None]
    y, x = np.mgrid[:height, :width]
    toned *= (1 - 0.35 / (1 + np.exp(-(x + y - 160) / 8.0)))[..., None]
    toned = cv2.GaussianBlur(toned, (0, 0), 0.8) + np.random.default_rng(seed).normal(0, 3, image_rgb.shape)
    return np.clip(np.rint(toned), 0, 255).astype(np.uint8)
