"""Average precision of boxes as COCO defines it, by class, by size and by how much of an item is visible."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.types import Annotation, Split
from garbage_synth.detect.class_match import ClassMatch
from garbage_synth.detect.coco_eval import ALL_AREAS, Boxes, boxes_of, evaluated
from garbage_synth.detect.detections import Detections
from garbage_synth.detect.findings import OperatingPoint, PictureFindings, best_f1, confusion, findings_of
from garbage_synth.detect.resampled import LEAST_PICTURES, interval, picture_draws, resampled_ap

__all__ = ["SIZES_PX", "VISIBLE", "Band", "Curves", "Group", "Scores", "score"]

SIZES_PX = {"small": (0, 32), "medium": (32, 96), "large": (96, None)}
"""Sides in pixels of the squares between which the area of an annotation lies, as COCO has them; None = no limit."""

VISIBLE = {"below 0.5": (0.0, 0.5), "0.5 to 0.9": (0.5, 0.9), "from 0.9": (0.9, None)}
"""Visible fractions from and below; None = no limit."""


@dataclass(frozen=True, slots=True)
class Group:
    """Scores of some boxes, 0..1, None where there is no box.

    ap: mean over the IoUs 0.50, 0.55, ... 0.95; ap50, ap75: at one. ar100: recall with at most 100 detections of a
    class in a picture, mean over the IoUs. instances: the boxes that could be found, without crowds.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar100: float | None
    instances: int


@dataclass(frozen=True, slots=True)
class Band(Group):
    """Scores of the boxes from `low` to below `high`: pixels of a square's side, or visible fraction."""

    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Curves:
    """Precision at the recalls 0, 0.01, ... 1, interpolated as COCO does.

    recall: (101,). at_iou: 0.5 and 0.75 -> (K, 101) by class, NaN where a class has no box.
    """

    recall: NDArray[np.float64]
    at_iou: Mapping[float, NDArray[np.float64]]

    def mean(self, iou: float) -> NDArray[np.float64]:
        """(101,): the mean of the classes that have boxes, NaN where none has."""
        curves = self.at_iou[iou]
        known = curves[~np.isnan(curves[:, 0])]
        return known.mean(axis=0) if len(known) else np.full_like(self.recall, np.nan)


@dataclass(frozen=True, slots=True)
class Scores(Group):
    """All scores of a split: the means over its classes, and each part.

    names: the classes, the K of `curves`. by_size: of the bands of SIZES_PX, by the area of the annotation. by_visible:
    of the bands of VISIBLE, empty where no annotation tells its visible fraction. best: where F1 is best, and pictures:
    what is found, confused, missed and invented there, by image id. resampled: the AP of RESAMPLES test sets drawn
    from the pictures of this one, NaN where one has no box; the draws are the same for every detector.

    A band counts the boxes inside it; those outside are ignored, as crowds are: no loss to miss, no fault to find. A
    detection that matches no box is one too many in every band of by_visible, and in the size band of its own area.
    """

    names: tuple[str, ...]
    per_class: Mapping[str, Group]
    by_size: Mapping[str, Band]
    by_visible: Mapping[str, Band]
    curves: Curves
    best: OperatingPoint
    pictures: tuple[PictureFindings, ...]
    resampled: NDArray[np.float64]

    def numbers(self) -> dict[str, Any]:
        """The scores as JSON, rounded to 4 decimals, without curves and pictures.

        ap_interval: 95 % interval over the choice of pictures; None below LEAST_PICTURES.
        """
        parts: dict[str, Mapping[str, Group]] = {
            "per_class": self.per_class,
            "by_size": self.by_size,
            "by_visible": self.by_visible,
        }
        return {
            **{name: _rounded(getattr(self, name)) for name in ("ap", "ap50", "ap75", "ar100")},
            "ap_interval": _rounded_pair(self._interval()),
            **{name: {key: _plain(group) for key, group in groups.items()} for name, groups in parts.items()},
            "best_f1": _plain(self.best),
            "confusion": confusion(self.pictures, self.names),
        }

    def _interval(self) -> tuple[float, float] | None:
        return interval(self.resampled, self.ap) if len(self.pictures) >= LEAST_PICTURES else None


def score(split: Split, detections: Mapping[int, Detections], match: ClassMatch) -> Scores:
    """The scores of a detector on a split.

    detections: those of each image id, in the detector's own classes and pixels of the picture. Raises KeyError for a
    picture of the split that is not among them.
    """
    boxes = boxes_of(split, detections, match)
    areas = [ALL_AREAS, *((low**2, high**2 if high else ALL_AREAS[1]) for low, high in SIZES_PX.values())]
    evaluation = evaluated(boxes, areas=areas)
    precision, recall = evaluation.eval["precision"][..., 0], evaluation.eval["recall"][..., 0]
    real = [entry for entry in boxes.truth if entry["id"] not in boxes.ignored]
    owners = [entry["category_id"] for entry in real]
    sizes = {}
    for area, (name, (low, high)) in enumerate(SIZES_PX.items(), start=1):
        inside = sum(areas[area][0] <= entry["area"] <= areas[area][1] for entry in real)
        sizes[name] = Band(*_means(precision[..., area], recall[..., area]), inside, low, high)
    best = best_f1(evaluation)
    ious = evaluation.params.iouThrs.round(2).tolist()
    curves = {iou: precision[ious.index(iou), :, :, 0].T for iou in (0.5, 0.75)}
    return Scores(
        *_means(precision[..., 0], recall[..., 0]),
        len(real),
        names=match.names,
        per_class={
            name: Group(*_means(precision[:, :, [k], 0], recall[:, [k], 0]), owners.count(k))
            for k, name in enumerate(match.names)
        },
        by_size=sizes,
        by_visible=_by_visible(split, boxes, [entry["id"] for entry in real]),
        curves=Curves(evaluation.params.recThrs, {iou: np.where(own < 0, np.nan, own) for iou, own in curves.items()}),
        best=best,
        pictures=findings_of(evaluation, best.threshold),
        resampled=resampled_ap(evaluation, picture_draws(len(boxes.images))),
    )


def _by_visible(split: Split, boxes: Boxes, real: Sequence[int]) -> dict[str, Band]:
    visible = {key: _visible_fraction(split.annotations[key - 1]) for key in real}
    if all(value is None for value in visible.values()):
        return {}
    bands = {}
    for name, (low, high) in VISIBLE.items():
        inside = {key for key, value in visible.items() if value is not None and low <= value < (high or np.inf)}
        evaluation = evaluated(boxes, ignored=frozenset(visible) - inside)
        means = _means(evaluation.eval["precision"][..., 0, 0], evaluation.eval["recall"][..., 0, 0])
        bands[name] = Band(*means, len(inside), low, high)
    return bands


def _visible_fraction(annotation: Annotation) -> float | None:
    value = annotation.extra.get("visible_fraction")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _means(
    precision: NDArray[np.float64], recall: NDArray[np.float64]
) -> tuple[float | None, float | None, float | None, float | None]:
    """ap, ap50, ap75, ar100 of precision (IoUs, recalls, classes) and recall (IoUs, classes), where -1 is unknown."""
    return _mean(precision), _mean(precision[0]), _mean(precision[5]), _mean(recall)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _plain(part: Group | OperatingPoint) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(part).items()}


def _rounded_pair(values: tuple[float, float] | None) -> list[float] | None:
    return None if values is None else [round(value, 4) for value in values]


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) else value
