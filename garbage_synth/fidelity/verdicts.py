"""What the label check takes and gives."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.masks import mask_of_box

__all__ = ["Box", "FrameVerdict", "Invented", "Label", "Verdict"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, half-open."""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """One labelled item of the picture before: its box and, where it has one, its mask, bool (h, w), full frame."""

    box_xyxy: Box
    mask: NDArray[np.bool_] | None = None

    def filled(self, size_hw: tuple[int, ...]) -> NDArray[np.bool_]:
        """The mask or, where there is none or one without a pixel, the box filled: bool (h, w).

        Raises ValueError where the mask is of another size.
        """
        if self.mask is not None:
            if self.mask.shape != size_hw:
                raise ValueError(f"mask has shape {self.mask.shape}, the picture {size_hw}")
            if self.mask.any():
                return self.mask
        return mask_of_box(self.box_xyxy, size_hw)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Does one label hold?

    status: "accepted" (the label holds as it is), "adjusted" (it holds with this box and mask) or "dropped" (the item
    is gone, or too little of it is left). q: part of the silhouette's pixels whose motion is consistent, 0..1.
    e: likeness of the item after its motion, -1..1. drawn: part of the item that is still drawn, 0..1.
    shift_px: distance that the item's middle moved. box_xyxy: the box that holds, for a dropped label the one it had.
    mask: bool (h, w) of an adjusted label that had a mask, otherwise None. trimmed: box and mask are those of the part
    that is still drawn.
    """

    status: Literal["accepted", "adjusted", "dropped"]
    q: float
    e: float
    drawn: float
    shift_px: float
    box_xyxy: Box
    mask: NDArray[np.bool_] | None = None
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Invented:
    """A place away from all items where the rewritten picture has structure that the picture before had not.

    box_xyxy: pixels, half-open. score: its new structure in spreads of the frame's own; higher is surer.
    """

    box_xyxy: tuple[int, int, int, int]
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class FrameVerdict:
    """Do the labels of one picture hold? verdicts are in the order of the labels; invented has the highest score first.

    status: "rejected" where too many labels were dropped for the picture to be used, otherwise "kept".
    """

    status: Literal["kept", "rejected"]
    verdicts: tuple[Verdict, ...]
    invented: tuple[Invented, ...]
