"""What speaks for the item at each pixel of a reduced photo: colour that no light explains, and sharp edges.

A soft shadow darkens the board without changing its colour and without a sharp edge; both measures ignore it. Clear
plastic, glass and white paper have next to no colour of their own, but they have an outline.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.board import Board, estimate_board, log_rgb, smooth_fill, split_residual

__all__ = ["Evidence", "gather_evidence", "reachable"]

SHADOW_DEPTH = 0.55
"""Darkening (log units) that a shadow on the board may have: to about 58 % of its value."""

_CHROMA_GAIN = 2.0  # a step in colour counts more than one in brightness: shadows have the latter only
_SCALES_PX = ((0.8, 3.5), (1.5, 5.0))
_QUANTUM = 0.35  # levels of 255 per pixel: what JPEG blocks make at native scale
_LEAST_STEP = 0.001  # log units per pixel
_SLOPE_SHARE = 1.1
_FIELD_EDGE = 3.0  # noise units; the board is followed locally where it is smoother than this
_BROAD_PX = 1.6
_FIELD_SIGMA = 0.03  # of the short side


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Maps of a reduced photo, float32 (h, w) unless told.

    edge: strength of the local step, in units of the board's own grain. colour: distance from the board that no shadow
    explains, in units of the board's own spread. light: brighter (> 0) or darker than the board, log units. board: the
    fitted board, log RGB float32 (h, w, 3).
    tone: the same as light against the board fitted to the picture's rim alone, less noisy, less local. tint: distance
    in colour from that board, log units.
    start: bool (h, w), board pixels from which the rest of the board is reached. outside: bool (h, w), surely not item.
    """

    edge: NDArray[np.float32]
    colour: NDArray[np.float32]
    light: NDArray[np.float32]
    tone: NDArray[np.float32]
    tint: NDArray[np.float32]
    board: NDArray[np.float32]
    start: NDArray[np.bool_]
    outside: NDArray[np.bool_]


def gather_evidence(
    image_rgb: NDArray[np.uint8], certain: NDArray[np.bool_], outside: NDArray[np.bool_], *, reduction: float = 1.0
) -> Evidence:
    """The evidence in RGB uint8 (h, w, 3).

    certain: bool (h, w), pixels that show the board for the most part: its colour and grain are learned there.
    outside: bool (h, w), pixels that do not belong to the item. reduction: by how much the photo was scaled, 0..1;
    JPEG blocks fade with it, by averaging and by lying closer together (with about its cube, as measured).
    """
    logs = cv2.GaussianBlur(log_rgb(image_rgb), (0, 0), 0.7).astype(np.float32)
    board = estimate_board(logs, certain)
    edge = edge_strength(logs, board.field, certain, quantum=_QUANTUM * reduction**3)

    # The board again, now followed wherever one gets from the picture's rim without crossing an edge: vignettes,
    # second lamps, the photographer's shadow. The item's outline keeps the walk out of the item.
    residual = logs - board.field
    broad = split_residual(cv2.GaussianBlur(residual, (0, 0), _BROAD_PX).astype(np.float32))
    alike = split_residual(residual)[0] < 6 * board.chroma_sigma + 0.05
    start = outside | (certain & alike & (edge < _FIELD_EDGE))
    known = reachable(edge > _FIELD_EDGE, start, gap_px=2) & (edge < _FIELD_EDGE) & alike
    sigma = _FIELD_SIGMA * min(certain.shape)
    field = board.field + smooth_fill(residual, known | (certain & (edge < _FIELD_EDGE)), sigma)
    return _measure(logs, Board(field, board.chroma_sigma, board.light_sigma), edge, broad, (certain, start, outside))


def _measure(
    logs: NDArray[np.float32],
    board: Board,
    edge: NDArray[np.float32],
    broad: tuple[NDArray[np.float32], NDArray[np.float32]],
    areas: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
) -> Evidence:
    certain, start, outside = areas
    tint, tone = broad
    chroma, light = split_residual(logs - board.field)
    sure_chroma = max(0.012, 1.4826 * float(np.median(chroma[certain])) / 1.18)
    sure_light = max(0.012, 1.4826 * float(np.median(np.abs(light[certain]))))
    # A deep shadow is lit by the rest of the room, whose colour differs a little.
    shadow_tint = 0.12 * np.clip(-light, 0, SHADOW_DEPTH)
    unshadowed = np.where(light < 0, np.clip(-light - SHADOW_DEPTH, 0, None), light)
    colour = np.hypot(np.clip(chroma - shadow_tint, 0, None) / sure_chroma, unshadowed / sure_light)
    return Evidence(edge, colour.astype(np.float32), light.astype(np.float32), tone, tint, board.field, start, outside)


def edge_strength(
    logs: NDArray[np.float32], board: NDArray[np.float32], certain: NDArray[np.bool_], *, quantum: float
) -> NDArray[np.float32]:
    """The size of the local step, float32 (h, w), in units of the board's own noise, of log RGB float32 (h, w, 3).

    What is as steep at a coarse scale as at a fine one is a slope, not a step: soft shadows, vignettes. It does not
    count, nor do steps of `quantum` levels. Two fine scales are tried, since faint outlines stand out from noise only
    where more is averaged.
    """
    residual = logs - board
    light = residual.mean(axis=2, keepdims=True)
    channels = np.concatenate([light * 3**0.5, (residual - light) * _CHROMA_GAIN], axis=2)
    strongest = np.zeros(certain.shape, np.float32)
    grain = np.float32(quantum) / (np.exp(logs.mean(axis=2)) * 255)
    for fine_px, coarse_px in _SCALES_PX:
        step = np.clip(_slope(channels, fine_px) - _SLOPE_SHARE * _slope(channels, coarse_px), 0, None)
        noise = max(_LEAST_STEP / fine_px**0.5, float(np.quantile(step[certain], 0.95)) / 2.4)
        strongest = np.maximum(strongest, step / np.hypot(noise, grain / fine_px**0.5))
    return strongest


def _slope(channels: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(channels, (0, 0), sigma_px)
    dx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0) / 32
    dy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1) / 32
    return np.asarray(np.sqrt((dx * dx + dy * dy).sum(axis=2)), dtype=np.float32)


def reachable(barrier: NDArray[np.bool_], start: NDArray[np.bool_], *, gap_px: int) -> NDArray[np.bool_]:
    """bool (h, w): what can be reached from `start` without crossing `barrier`, whose gaps up to 2 gap_px are shut.

    The walker is a disc of radius gap_px; what it covers on its way counts as reached.
    """
    if gap_px > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap_px + 1, 2 * gap_px + 1))
        wide = cv2.dilate(barrier.astype(np.uint8), disc) > 0
    else:
        wide = barrier
    _, labels = cv2.connectedComponents((~wide).astype(np.uint8), connectivity=4)
    reached_labels = np.unique(labels[start & ~wide])
    reached = np.isin(labels, reached_labels[reached_labels > 0])
    if gap_px > 0:
        reached = (cv2.dilate(reached.astype(np.uint8), disc) > 0) & ~barrier
    return reached
