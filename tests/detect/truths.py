"""Splits and detections made of boxes, for tests of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from garbage_synth.core.types import Annotation, ImageRecord, Split
from garbage_synth.detect.detections import Detections, by_score

__all__ = ["CATEGORIES", "NAMES", "box", "found", "perfect", "random_case", "split_of"]

CATEGORIES = {3: "can", 7: "paper"}
NAMES = ("paper", "can")
NOTHING = by_score([], [], [])


def box(
    image_id: int, category_id: int, xyxy: Sequence[float], *, key: int = 0, crowd: int = 0, **extra: Any
) -> Annotation:
    x0, y0, x1, y1 = xyxy
    size = (x0, y0, x1 - x0, y1 - y0)
    return Annotation(key, image_id, category_id, size, size[2] * size[3], crowd, None, extra)


def split_of(annotations: Sequence[Annotation], images: int = 2) -> Split:
    return Split(tuple(ImageRecord(key, f"{key}.jpg", 640, 480) for key in range(1, images + 1)), tuple(annotations))


def found(*entries: tuple[Sequence[float], int, float]) -> Detections:
    return by_score([xyxy for xyxy, _, _ in entries], [key for _, key, _ in entries], [score for *_, score in entries])


def perfect(split: Split, categories: Mapping[int, str], names: Sequence[str]) -> dict[int, Detections]:
    """Each box as it is, in the detector's classes."""
    detections = {}
    for record in split.images:
        own = [annotation for annotation in split.annotations if annotation.image_id == record.id]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (annotation.bbox_xywh for annotation in own)]
        classes = [names.index(categories[annotation.category_id]) for annotation in own]
        detections[record.id] = by_score(corners, classes, np.linspace(0.9, 0.6, len(own)))
    return detections


def random_case(seed: int = 0, images: int = 12) -> tuple[Split, dict[int, Detections]]:
    """Boxes of all sizes and detections of them that are off, doubled, of the wrong class, missing or invented."""
    rng = np.random.default_rng(seed)
    annotations: list[Annotation] = []
    detections = {}
    for image_id in range(1, images + 1):
        entries = []
        for _ in range(int(rng.integers(0, 6))):
            side = rng.uniform(8, 160, 2)
            corner = rng.uniform(0, 300, 2)
            xyxy = np.concatenate([corner, corner + side])
            key = int(rng.choice([3, 7]))
            extra = {"visible_fraction": float(rng.uniform(0.1, 1))}
            crowd = int(rng.random() < 0.1)
            annotations.append(box(image_id, key, xyxy.tolist(), key=len(annotations), crowd=crowd, **extra))
            for _ in range(int(rng.integers(0, 3))):
                moved = xyxy + rng.normal(0, 0.08, 4) * np.tile(side, 2)
                own = NAMES.index(CATEGORIES[key]) if rng.random() < 0.8 else int(rng.integers(0, 2))
                entries.append((moved.tolist(), own, round(float(rng.random()), 2)))
        for _ in range(int(rng.integers(0, 3))):
            corner = rng.uniform(0, 300, 2)
            entries.append(
                ([*corner, *(corner + rng.uniform(8, 160, 2))], int(rng.integers(0, 2)), float(rng.random()))
            )
        detections[image_id] = found(*entries)
    return split_of(annotations, images), detections
