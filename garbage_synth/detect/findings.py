"""What a detector finds, misses and invents where its scores are cut off, picture by picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.detect.detections import Detections, by_score

__all__ = ["OperatingPoint", "PictureFindings", "best_f1", "findings_of"]

UNDECIDED = 0.5


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where scores are cut off, and what all classes together then have at IoU 0.5; None where there is no box.

    threshold: detections of this score and above count.
    """

    threshold: float
    f1: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class PictureFindings:
    """One picture at the operating point; classes are positions in the names that are scored.

    hits, false: detections that match a box of their class and that match none. missed_xyxy (n, 4), missed_classes
    (n,): the boxes that no detection matches. What is ignored is in none of them.
    """

    image_id: int
    hits: Detections
    false: Detections
    missed_xyxy: NDArray[np.float64]
    missed_classes: NDArray[np.int64]

    @property
    def errors(self) -> int:
        """How many are missed or false."""
        return len(self.false) + len(self.missed_classes)


def best_f1(evaluation: Any) -> OperatingPoint:
    """The threshold with the best F1 of a COCOeval at its first IoU and area range, all classes counted together.

    F1 = 2 TP / (detections + boxes). Of equal ones the highest threshold; 0.5 where no detection matches.
    """
    entries = [entry for entry in _first_area(evaluation) if entry is not None]
    boxes = sum(int(np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)) for entry in entries)
    counted = [~np.asarray(entry["dtIgnore"][0], bool) for entry in entries]
    scores = _joined([np.asarray(entry["dtScores"])[own] for entry, own in zip(entries, counted, strict=True)])
    right = _joined([entry["dtMatches"][0][own] > 0 for entry, own in zip(entries, counted, strict=True)])
    if not boxes:
        return OperatingPoint(UNDECIDED, None, None, None)
    if not right.any():
        return OperatingPoint(UNDECIDED, 0.0, None if not (scores >= UNDECIDED).any() else 0.0, 0.0)
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    detections = np.arange(1, len(scores) + 1)
    f1 = 2 * hits / (detections + boxes)
    f1[:-1][scores[:-1] == scores[1:]] = -1  # a threshold cannot part equal scores
    best = int(np.argmax(f1))
    return OperatingPoint(
        float(scores[best]), float(f1[best]), float(hits[best] / detections[best]), float(hits[best] / boxes)
    )


def findings_of(evaluation: Any, threshold: float) -> tuple[PictureFindings, ...]:
    """Every picture of a COCOeval at its first IoU and area range, by image id; threshold: lowest score that counts.

    Boxes are matched from the highest score down, so that detections below the threshold change nothing above it.
    """
    pictures: dict[int, list[Mapping[str, Any]]] = {int(key): [] for key in evaluation.params.imgIds}
    for entry in _first_area(evaluation):
        if entry is not None:
            pictures[int(entry["image_id"])].append(entry)
    return tuple(_picture(evaluation, key, entries, threshold) for key, entries in sorted(pictures.items()))


def _picture(evaluation: Any, key: int, entries: list[Mapping[str, Any]], threshold: float) -> PictureFindings:
    hits: list[Mapping[str, Any]] = []
    false: list[Mapping[str, Any]] = []
    missed: list[Mapping[str, Any]] = []
    for entry in entries:
        matched: set[int] = set()
        for number, score, match, ignored in zip(
            entry["dtIds"], entry["dtScores"], entry["dtMatches"][0], entry["dtIgnore"][0], strict=True
        ):
            if score < threshold:
                continue
            matched.add(int(match))
            if not ignored:
                (hits if match else false).append(evaluation.cocoDt.anns[number])
        for number, ignored in zip(entry["gtIds"], entry["gtIgnore"], strict=True):
            if not ignored and int(number) not in matched:
                missed.append(evaluation.cocoGt.anns[number])
    return PictureFindings(
        key,
        _detections(hits),
        _detections(false),
        np.array([_corners(entry) for entry in missed], np.float64).reshape(-1, 4),
        np.array([entry["category_id"] for entry in missed], np.int64),
    )


def _detections(entries: list[Mapping[str, Any]]) -> Detections:
    return by_score(
        [_corners(entry) for entry in entries],
        [entry["category_id"] for entry in entries],
        [entry["score"] for entry in entries],
    )


def _corners(entry: Mapping[str, Any]) -> tuple[float, float, float, float]:
    x, y, width, height = entry["bbox"]
    return x, y, x + width, y + height


def _first_area(evaluation: Any) -> list[Mapping[str, Any] | None]:
    """The entries of the first area range, which COCOeval keeps by class, area range and picture."""
    pictures, areas = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    entries: list[Mapping[str, Any] | None] = evaluation.evalImgs
    return [entry for number, entry in enumerate(entries) if number // max(1, pictures) % areas == 0]


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)
