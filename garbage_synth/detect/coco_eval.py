"""COCOeval on boxes in memory: quiet, with boxes to ignore, and safe from what it stumbles over.

What it stumbles over: annotation id 0 counts as unmatched, `ignore` of an annotation is overwritten by `iscrowd`, and
an empty list of results is refused.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from garbage_synth.core.types import Split
from garbage_synth.detect.class_match import ClassMatch
from garbage_synth.detect.detections import Detections

__all__ = ["ALL_AREAS", "MOST_DETECTIONS", "Boxes", "boxes_of", "evaluated"]

MOST_DETECTIONS = 100
"""Of a class in a picture; those of the highest scores count."""

ALL_AREAS = (0.0, 1e10)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Truth and detections as entries of COCO documents; classes are positions, ids count from 1.

    ignored: ids of truth boxes that are neither missed when nothing finds them nor wrong to find.
    """

    images: tuple[int, ...]
    classes: int
    truth: tuple[Mapping[str, Any], ...]
    found: tuple[Mapping[str, Any], ...]
    ignored: frozenset[int]


def boxes_of(split: Split, detections: Mapping[int, Detections], match: ClassMatch) -> Boxes:
    """The boxes to score. detections: those of each image id, in the detector's own classes.

    Entries of truth keep their annotation's place in the split: id n is the n-th. Raises KeyError for a picture without
    detections (one in which nothing was found has empty ones).
    """
    truth: list[dict[str, Any]] = []
    ignored: set[int] = set()
    for number, annotation in enumerate(split.annotations, start=1):
        position = match.of_category.get(annotation.category_id)
        if position is None and not match.agnostic:
            continue
        if position is None or annotation.iscrowd:
            ignored.add(number)
        truth.append(
            {
                "id": number,
                "image_id": annotation.image_id,
                "category_id": position or 0,
                "bbox": list(annotation.bbox_xywh),
                "area": annotation.area,
                "iscrowd": annotation.iscrowd,
            }
        )
    found: list[dict[str, Any]] = []
    for record in split.images:
        own = match.scored(detections[record.id])
        for (x0, y0, x1, y1), position, score in zip(
            own.boxes_xyxy.tolist(), own.classes.tolist(), own.scores.tolist(), strict=True
        ):
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": record.id,
                    "category_id": position,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                    "score": score,
                }
            )
    images = tuple(record.id for record in split.images)
    return Boxes(images, len(match.names), tuple(truth), tuple(found), frozenset(ignored))


def evaluated(
    boxes: Boxes,
    *,
    areas: Sequence[tuple[float, float]] = (ALL_AREAS,),
    ignored: frozenset[int] = frozenset(),
) -> COCOeval:
    """COCOeval after `accumulate`, for the IoUs 0.50, 0.55, ... 0.95 and MOST_DETECTIONS.

    areas: ranges of box area in pixels, the A of its arrays. ignored: ids of truth boxes to ignore beside those that
    `boxes` ignores.
    """
    with redirect_stdout(io.StringIO()):
        evaluation = _BoxEval(_index(boxes, boxes.truth), _index(boxes, boxes.found), boxes.ignored | ignored)
        evaluation.params.areaRng = [list(limits) for limits in areas]
        evaluation.params.areaRngLbl = [str(number) for number in range(len(areas))]
        evaluation.params.maxDets = [MOST_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


class _BoxEval(COCOeval):  # type: ignore[misc]  # pycocotools has no types
    def __init__(self, truth: COCO, found: COCO, ignored: frozenset[int]) -> None:
        super().__init__(truth, found, "bbox")
        self._ignored = ignored

    def _prepare(self) -> None:
        super()._prepare()
        for entries in self._gts.values():
            for entry in entries:
                entry["ignore"] = int(entry["id"] in self._ignored)


def _index(boxes: Boxes, entries: Sequence[Mapping[str, Any]]) -> COCO:
    index = COCO()
    index.dataset = {
        "images": [{"id": key} for key in boxes.images],
        "categories": [{"id": position} for position in range(boxes.classes)],
        "annotations": [dict(entry) for entry in entries],  # COCOeval writes into them
    }
    index.createIndex()
    return index
