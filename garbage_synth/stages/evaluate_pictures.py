"""What `evaluate` draws: precision over recall, the worst pictures, and pictures as they come."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from garbage_synth.detect.detections import Detections
from garbage_synth.detect.findings import PictureFindings
from garbage_synth.detect.scores import Scores
from garbage_synth.io.images import read_rgb
from garbage_synth.report.draw import class_colour
from garbage_synth.report.marks import Mark, draw_marks, sheet
from garbage_synth.report.plot import Line, empty_panel, line_panel

__all__ = ["draw_detections", "draw_misses", "draw_precision_recall", "evenly", "worst"]

PICTURES = 12
SIDE_PX = 720
PLOT_WH = (560, 420)
INK = (60, 60, 60)
HIT, CONFUSED, MISSED, FALSE = (60, 200, 90), (90, 160, 255), (240, 50, 50), (255, 160, 30)
PALE = (230, 230, 230)
KINDS = [("found", HIT), ("wrong class", CONFUSED), ("missed", MISSED), ("false", FALSE)]


def draw_precision_recall(scores: Scores) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3): at the IoUs 0.5 and 0.75 a line for each class that has boxes, and their mean."""
    panels = []
    for iou, curves in scores.curves.at_iou.items():
        known = [k for k in range(len(scores.names)) if not np.isnan(curves[k, 0])]
        lines = [_line(scores.names[k], scores.curves.recall, curves[k], class_colour(k)) for k in known]
        if len(known) > 1:
            lines.append(_line("mean", scores.curves.recall, scores.curves.mean(iou), INK, 2))
        title = f"precision over recall at IoU {iou:.2f}"
        limits = (0.0, 1.0)
        panels.append(
            line_panel(title, lines, x_limits=limits, x_words=("0", "recall 1"), y_limits=limits, size_wh=PLOT_WH)
            if lines
            else empty_panel(PLOT_WH, "no box to score")
        )
    return np.hstack(panels)


def worst(scores: Scores) -> list[PictureFindings]:
    """The pictures with most boxes missed, invented and of the wrong class, worst first, at most 12, none without."""
    wrong = [picture for picture in scores.pictures if picture.errors]
    return sorted(wrong, key=lambda picture: (-picture.errors, picture.image_id))[:PICTURES]


def evenly(scores: Scores) -> list[PictureFindings]:
    """At most 12 pictures, evenly spaced in their order."""
    count = min(PICTURES, len(scores.pictures))
    return [scores.pictures[index * len(scores.pictures) // count] for index in range(count)]


def draw_misses(chosen: Sequence[PictureFindings], scores: Scores, paths: Mapping[int, Path]) -> NDArray[np.uint8]:
    """A sheet, RGB uint8 (h, w, 3), of pictures with what is found, confused, missed and invented in them."""
    cells = []
    for picture in chosen:
        marks = [Mark(box, HIT) for box in picture.hits.boxes_xyxy]
        marks += _named(picture.false, scores.names, FALSE)
        marks += [
            Mark(box, CONFUSED, f"{scores.names[item]} as {scores.names[k]}", width_px=2)
            for box, k, item in zip(
                picture.confused.boxes_xyxy, picture.confused.classes, picture.confused_with, strict=True
            )
        ]
        marks += [
            Mark(box, MISSED, scores.names[k], width_px=3, dashed=True)
            for box, k in zip(picture.missed_xyxy, picture.missed_classes, strict=True)
        ]
        counts = (
            f"{len(picture.hits)} found, {len(picture.confused)} of the wrong class, "
            f"{len(picture.missed_classes)} missed, {len(picture.false)} false"
        )
        cells.append(_cell(paths[picture.image_id], marks, counts))
    return sheet(cells, [(_cut(scores), PALE), *KINDS])


def draw_detections(chosen: Sequence[PictureFindings], scores: Scores, paths: Mapping[int, Path]) -> NDArray[np.uint8]:
    """A sheet, RGB uint8 (h, w, 3), of pictures with their detections, right or false, in the classes' colours."""
    cells = []
    for picture in chosen:
        marks = [mark for own in (picture.hits, picture.confused, picture.false) for mark in _named(own, scores.names)]
        cells.append(_cell(paths[picture.image_id], marks, f"{len(marks)} detections"))
    words = [(name, class_colour(k)) for k, name in enumerate(scores.names)]
    return sheet(cells, [(_cut(scores), PALE), *words])


def _cell(path: Path, marks: Sequence[Mark], counts: str) -> NDArray[np.uint8]:
    return draw_marks(read_rgb(path), marks, f"{path.name}: {counts}", side_px=SIDE_PX)


def _named(own: Detections, names: Sequence[str], colour: tuple[int, int, int] | None = None) -> list[Mark]:
    return [
        Mark(box, colour or class_colour(int(k)), f"{names[k]} {score:.2f}", width_px=2)
        for box, k, score in zip(own.boxes_xyxy, own.classes, own.scores, strict=True)
    ]


def _cut(scores: Scores) -> str:
    best = "" if scores.best.f1 is None else f" (best F1, {scores.best.f1:.2f})"
    return f"at IoU 0.5, scores from {scores.best.threshold:.2f}{best}:"


def _line(
    name: str,
    recall: NDArray[np.float64],
    precision: NDArray[np.float64],
    colour: tuple[int, int, int],
    width_px: int = 1,
) -> Line:
    """The curve down to the recall that is not reached; colours are darkened, for some are pale on white."""
    shown = np.stack([recall, precision], 1)[: np.count_nonzero(precision) + 1]
    red, green, blue = (channel * 4 // 5 for channel in colour)
    return Line(f"{name} {precision.mean():.2f}", shown, (red, green, blue), width_px)
