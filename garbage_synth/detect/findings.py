"""What a detector finds, misses and invents where its scores are cut off, picture by picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.detect.detections import Detections, by_score, iou_of

__all__ = ["OperatingPoint", "PictureFindings", "best_f1", "confusion", "findings_of"]

UNDECIDED = 0.5
SAME_ITEM_IOU = 0.5


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

    hits: detections that match a box of their class. confused: those that cover a box of another class, which no other
    detection matches, by an IoU of 0.5 and more; confused_with (n,): the classes of those boxes. false: those of
    neither kind. missed_xyxy (n, 4), missed_classes (n,): the boxes that no detection is for. What is ignored is in
    none of them.
    """

    image_id: int
    hits: Detections
    confused: Detections
    confused_with: NDArray[np.int64]
    false: Detections
    missed_xyxy: NDArray[np.float64]
    missed_classes: NDArray[np.int64]

    @property
    def errors(self) -> int:
        """How many are missed, false or of the wrong class."""
        return len(self.confused) + len(self.false) + len(self.missed_classes)


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
    missed_xyxy = np.array([_corners(entry) for entry in missed], np.float64).reshape(-1, 4)
    missed_classes = np.array([entry["category_id"] for entry in missed], np.int64)
    left = _detections(false)
    pairs = _same_item(left, missed_xyxy)
    none, unfound = np.ones(len(left), bool), np.ones(len(missed), bool)
    none[list(pairs)], unfound[list(pairs.values())] = False, False
    return PictureFindings(
        key,
        hits=_detections(hits),
        confused=left.at(~none),
        confused_with=missed_classes[[pairs[number] for number in sorted(pairs)]],
        false=left.at(none),
        missed_xyxy=missed_xyxy[unfound],
        missed_classes=missed_classes[unfound],
    )


def _same_item(false: Detections, missed_xyxy: NDArray[np.float64]) -> dict[int, int]:
    """The position of a false detection -> that of the missed box it covers best; each box goes to the highest score.

    A pair is never of one class: COCOeval would have matched it.
    """
    pairs: dict[int, int] = {}
    free = np.ones(len(missed_xyxy), bool)
    for number, box in enumerate(false.boxes_xyxy):
        overlap = np.where(free, iou_of(box, missed_xyxy), -1.0)
        if len(overlap) and overlap.max() >= SAME_ITEM_IOU:
            pairs[number] = int(overlap.argmax())
            free[pairs[number]] = False
    return pairs


def confusion(pictures: Sequence[PictureFindings], names: Sequence[str]) -> dict[str, Any]:
    """What items of each class are taken for, over all pictures.

    found: by class of the item, then by class of the detection, how many; those with no item left out. missed: items by
    class that nothing was found for. false: detections by class of no item, or of one that another detection has.
    Classes that are not scored play no part.
    """
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    missed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for picture in pictures:
        for k in picture.hits.classes:
            found[names[k]][names[k]] += 1
        for item, k in zip(picture.confused_with, picture.confused.classes, strict=True):
            found[names[item]][names[k]] += 1
        missed.update(names[k] for k in picture.missed_classes)
        false.update(names[k] for k in picture.false.classes)
    return {
        "found": {name: {other: counts[other] for other in names if counts[other]} for name, counts in found.items()},
        "missed": {name: missed[name] for name in names},
        "false": {name: false[name] for name in names},
    }


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
