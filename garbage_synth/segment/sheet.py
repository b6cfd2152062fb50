"""Crops side by side, half on dark and half on pale ground: halos and missing parts show at a glance."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["contact_sheet"]

_DARK, _PALE = 35, 215


def contact_sheet(crops: Sequence[NDArray[np.uint8]], *, cell_px: int = 160, columns: int = 10) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) of RGBA uint8 crops (h, w, 4), each in a cell whose left half is dark and right half pale."""
    columns = min(columns, max(1, len(crops)))
    rows = max(1, math.ceil(len(crops) / columns))
    sheet = np.full((rows * cell_px, columns * cell_px, 3), _PALE, np.float32)
    for column in range(columns):
        sheet[:, column * cell_px : column * cell_px + cell_px // 2] = _DARK
    for index, crop in enumerate(crops):
        height, width = crop.shape[:2]
        scale = (cell_px - 8) / max(height, width)
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        # Colours are mixed as they are seen, weighted by alpha.
        alpha = crop[..., 3:].astype(np.float32) / 255
        seen = np.concatenate([crop[..., :3] * alpha, alpha], axis=2)
        small = cv2.resize(seen, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top = index // columns * cell_px + (cell_px - size_wh[1]) // 2
        left = index % columns * cell_px + (cell_px - size_wh[0]) // 2
        cell = sheet[top : top + size_wh[1], left : left + size_wh[0]]
        cell *= 1 - small[..., 3:]
        cell += small[..., :3]
    return np.clip(np.rint(sheet), 0, 255).astype(np.uint8)
