"""What is printed, taped, stuck and rubbed onto the flat blank of a cardboard box."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork

_TEXTURE_WIDTH_PX = 1024


@dataclass(frozen=True)
class BlankLayout:
    """A box blank: four walls in a row, metres, with one flap length per wall above and below."""

    widths_m: tuple[float, float, float, float]
    height_m: float
    flaps_m: tuple[float, float, float, float]


def blank_print(rng: np.random.Generator, layout: BlankLayout, kind: str, *, wear: float) -> NDArray[np.uint8]:
    """Return the outside of the whole blank as an (h, 1024, 3) RGB image, top flaps uppermost.

    ``kind`` is "shipping", "white" or "retail"; ``wear`` 0..1 darkens and scuffs edges.
    """
    perimeter, flap = sum(layout.widths_m), max(layout.flaps_m)
    scale = _TEXTURE_WIDTH_PX / perimeter
    height = int(scale * (layout.height_m + 2 * flap))
    top, low = int(scale * flap), int(scale * (flap + layout.height_m))
    edges = np.round(np.concatenate([[0.0], np.cumsum(layout.widths_m)]) * scale).astype(int)
    size = (_TEXTURE_WIDTH_PX, height)
    if kind == "retail":
        sheet = _retail_sheet(rng, size, edges, top, low)
    else:
        sheet = artwork.kraft_board(rng, size, white=kind == "white")
        for wall in range(4):
            if rng.random() < 0.7:
                box = (int(edges[wall + 1] - edges[wall]), low - top)
                ink = artwork.flexo_ink(rng, box)
                sheet[top:low, edges[wall] : edges[wall + 1]] *= ink
        if rng.random() < 0.75:
            _tape(rng, sheet, edges, top, low, int(scale * rng.uniform(0.036, 0.05)))
        for _ in range(int(rng.integers(0, 3))):
            _sticker(rng, sheet, edges, top, low, scale)
    _wear(rng, sheet, edges, top, low, wear)
    return np.clip(sheet, 0, 255).astype(np.uint8)


def _retail_sheet(
    rng: np.random.Generator, size_wh: tuple[int, int], edges: NDArray[np.int64], top: int, low: int
) -> NDArray[np.float32]:
    print_px = artwork.label(rng, "retail", (1024, max(64, low - top))).astype(np.float32)
    sheet = np.full((size_wh[1], size_wh[0], 3), 255.0, np.float32)
    for wall in range(4):
        panel = print_px[:, wall * 256 : (wall + 1) * 256]
        width = int(edges[wall + 1] - edges[wall])
        sheet[top:low, edges[wall] : edges[wall + 1]] = cv2.resize(
            panel, (width, low - top), interpolation=cv2.INTER_AREA
        )
    sheet[:top] = np.median(sheet[top : top + 12], axis=(0, 1))
    sheet[low:] = np.median(sheet[low - 12 : low], axis=(0, 1))
    for first in (int(0.35 * top), low + int(0.3 * (size_wh[1] - low))):
        word = artwork.label(rng, "tray", (160, 80)).astype(np.float32)
        box = sheet[first : first + 80, int(edges[0]) + 20 : int(edges[0]) + 180]
        if rng.random() < 0.4:
            box[:] = word[: box.shape[0], : box.shape[1]]
    return sheet


def _tape(
    rng: np.random.Generator, sheet: NDArray[np.float32], edges: NDArray[np.int64], top: int, low: int, width: int
) -> None:
    """Paint half a tape strip along each long flap's free edge and its ends down the short walls."""
    tint = np.array([(196, 160, 110), (228, 224, 214), (150, 112, 70)][int(rng.integers(3))], np.float32)
    cover = rng.uniform(0.45, 0.8)
    height, half = len(sheet), width // 2
    tail = int(rng.uniform(1.0, 2.2) * width)
    spans = []
    for wall in (0, 2):
        columns = slice(int(edges[wall]), int(edges[wall + 1]))
        spans += [(slice(0, half), columns), (slice(height - half, height), columns)]
    for wall in (1, 3):
        middle = int(edges[wall] + edges[wall + 1]) // 2
        columns = slice(middle - half, middle + half)
        spans += [(slice(top, min(top + tail, low)), columns), (slice(max(low - tail, top), low), columns)]
    for rows, columns in spans:
        patch = sheet[rows, columns]
        streak = rng.normal(0, 7, (patch.shape[0], 1, 1)) + rng.normal(0, 5, (1, patch.shape[1], 1))
        patch[:] = patch * (1 - cover) + cover * (tint + streak)


def _sticker(
    rng: np.random.Generator, sheet: NDArray[np.float32], edges: NDArray[np.int64], top: int, low: int, scale: float
) -> None:
    """Paste an address or price label onto a wall or flap, slightly turned."""
    wall = int(rng.integers(4))
    width = int(min(scale * rng.uniform(0.05, 0.11), 0.75 * (edges[wall + 1] - edges[wall])))
    height = int(width * rng.uniform(0.5, 0.8))
    art = artwork.label(rng, "tray", (320, 220))
    if rng.random() < 0.6:
        art = np.repeat(art.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    art = cv2.resize(art, (width, height), interpolation=cv2.INTER_AREA)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 8), 1.0)
    x = int(rng.uniform(edges[wall], max(edges[wall] + 1, edges[wall + 1] - width)))
    y = int(rng.uniform(0.2 * top, max(low - height, top)))
    turn[:, 2] += (x, y)
    mask = cv2.warpAffine(np.ones((height, width), np.float32), turn, sheet.shape[1::-1])[..., None]
    placed = cv2.warpAffine(art, turn, sheet.shape[1::-1]).astype(np.float32)
    sheet[:] = sheet * (1 - mask) + placed * mask


def _wear(
    rng: np.random.Generator, sheet: NDArray[np.float32], edges: NDArray[np.int64], top: int, low: int, wear: float
) -> None:
    """Scuff the fold lines, soil the sheet in clouds and add a wet stain or two."""
    height, width = sheet.shape[:2]
    lines = np.zeros((height, width), np.float32)
    for edge in edges:
        lines[:, max(0, edge - 2) : edge + 3] = 1.0
    lines[max(0, top - 2) : top + 3] = 1.0
    lines[max(0, low - 2) : low + 3] = 1.0
    soft = cv2.GaussianBlur(lines, (0, 0), 5) + 0.5 * lines
    clouds = cv2.resize(rng.normal(0, 1, (14, 20)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.normal(0, 1, (height // 4, width // 4)).astype(np.float32), (width, height))
    scuffed = np.clip(soft * (0.7 + 0.5 * clouds + 0.3 * fine), 0, 1) * wear
    pale = rng.uniform(0.5, 1.35)
    sheet *= (1 - scuffed * (1 - 0.75 * pale) - 0.10 * wear * np.clip(clouds, 0, 2))[..., None]
    for _ in range(int(rng.integers(0, 3))):
        stain = np.zeros((height, width), np.uint8)
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(30, 160)), int(rng.uniform(20, 110)))
        cv2.ellipse(stain, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
        edge = cv2.GaussianBlur(stain, (0, 0), 9).astype(np.float32) / 255 + 0.25 * clouds + 0.1 * fine
        wet = np.clip((edge - 0.45) * 6, 0, 1)
        rim = wet * (1 - np.clip((edge - 0.62) * 5, 0, 1))
        sheet *= (1 - rng.uniform(0.15, 0.42) * wet - 0.1 * rim)[..., None]
