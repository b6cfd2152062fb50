"""What a detector says of one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Detections", "by_score", "iou_of", "without_duplicates"]


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes found in one picture, highest score first.

    boxes_xyxy: (n, 4) half-open pixels of the picture as it lies on disk (EXIF turned). classes: (n,) positions 0..K-1
    in the detector's class names. scores: (n,) 0..1.
    """

    boxes_xyxy: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Detections":
        """Those that a mask (n,) or a list of positions names."""
        return Detections(self.boxes_xyxy[chosen], self.classes[chosen], self.scores[chosen])


def by_score(
    boxes_xyxy: NDArray[np.floating] | Sequence[Sequence[float]],
    classes: NDArray[np.integer] | Sequence[int],
    scores: NDArray[np.floating] | Sequence[float],
) -> Detections:
    """Detections of n boxes in any order, which equal scores keep; all three may be empty."""
    ordered = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    return Detections(
        np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)[ordered],
        np.asarray(classes, np.int64)[ordered],
        np.asarray(scores, np.float64)[ordered],
    )


def without_duplicates(detections: Detections, most_iou: float) -> Detections:
    """Non-maximum suppression whatever the class: none overlaps one of a higher score by an IoU above `most_iou`."""
    kept: list[int] = []
    left = np.arange(len(detections))
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        overlap = iou_of(detections.boxes_xyxy[best], detections.boxes_xyxy[left])
        left = left[overlap <= most_iou]
    return detections.at(np.array(kept, np.int64))


def iou_of(box_xyxy: NDArray[np.float64], others_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box (4,) with each of others (n, 4): (n,), 0..1, 0 where both are empty."""
    x0, y0, x1, y1 = others_xyxy.reshape(-1, 4).T
    left, top, right, bottom = box_xyxy
    width = np.minimum(right, x1) - np.maximum(left, x0)
    height = np.minimum(bottom, y1) - np.maximum(top, y0)
    shared = width.clip(0) * height.clip(0)
    union = (right - left) * (bottom - top) + (x1 - x0) * (y1 - y0) - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou
