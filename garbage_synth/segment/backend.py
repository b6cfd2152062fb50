"""What a backend gets and gives: the one protocol behind every method of `segment`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from garbage_synth.segment.complete import Box

__all__ = ["Backend", "CutOut", "Found", "Photo", "Reason", "Rejection"]

Reason = Literal[
    "touches the frame", "too small", "low contrast", "several items", "empty", "cut by the frame", "crowd", "covered"
]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """What is known of one item's picture.

    image_rgb: uint8 (h, w, 3). alpha: uint8 (h, w), the file's own, or None. mask: bool (h, w), the given silhouette,
    or None. others: bool (h, w), pixels of other labelled items, or None. box_xyxy: the item's extent in pixels, a
    prior, or None.
    """

    image_rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None
    others: NDArray[np.bool_] | None = None
    box_xyxy: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An item in its photo. alpha: float32 (h, w) in 0..1, the photo's size. quality: 0..1.

    silhouette: bool (h, w) where alpha is opacity and does not tell the item's extent, else None.
    """

    alpha: NDArray[np.float32]
    quality: float
    silhouette: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A finished crop. rgba: uint8 (h, w, 4), tight. silhouette: bool (h, w) or None, see Found. quality: 0..1.

    length_px: longer side of the silhouette's minimum-area rectangle.
    """

    rgba: NDArray[np.uint8]
    silhouette: NDArray[np.bool_] | None
    quality: float
    length_px: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a photo gave no crop. detail: the measured value and its limit, in words."""

    reason: Reason
    detail: str


Backend = Callable[[Photo], Found | Rejection]
"""Finds the item of a photo. Deterministic; raises nothing for a photo that is merely unsuited."""
