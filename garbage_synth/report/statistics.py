"""Counts and distributions of a dataset, from its annotations alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from garbage_synth.core.types import Dataset, Split

__all__ = ["Histogram", "SplitStatistics", "split_statistics"]

SIZE_EDGES_PX = (0, 16, 32, 64, 128, 256, 512, float("inf"))
VISIBLE_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in named bins, in the order of the values."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]

    def pairs(self) -> list[tuple[str, int]]:
        """(label, count) of every bin."""
        return list(zip(self.labels, self.counts, strict=True))


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """One split in numbers.

    per_class: class -> annotations, in the order of the category ids, classes without any included.
    items_per_image: 0, 1, 2, ... items. side_px: square root of the box area. visible: visible fraction of items as
    the compositor recorded it, None where no annotation has it. sizes: picture sizes "WxH" by frequency.
    """

    images: int
    annotations: int
    empty_images: int
    per_class: tuple[tuple[str, int], ...]
    items_per_image: Histogram
    side_px: Histogram
    visible: Histogram | None
    sizes: tuple[tuple[str, int], ...]


def split_statistics(dataset: Dataset, split: str) -> SplitStatistics:
    """The numbers of one split. Raises KeyError for an unknown split."""
    part = dataset.splits[split]
    classes = Counter(annotation.category_id for annotation in part.annotations)
    sides = [
        float(np.sqrt(max(0.0, annotation.bbox_xywh[2] * annotation.bbox_xywh[3]))) for annotation in part.annotations
    ]
    visible = [
        float(annotation.extra["visible_fraction"])
        for annotation in part.annotations
        if isinstance(annotation.extra.get("visible_fraction"), int | float)
    ]
    items = _items(part)
    return SplitStatistics(
        images=len(part.images),
        annotations=len(part.annotations),
        empty_images=items.count(0),
        per_class=tuple((name, classes[key]) for key, name in sorted(dataset.categories.items())),
        items_per_image=Histogram(
            tuple(str(count) for count in range(max(items, default=-1) + 1)),
            tuple(items.count(count) for count in range(max(items, default=-1) + 1)),
        ),
        side_px=_histogram(sides, SIZE_EDGES_PX, "{:.0f} to {:.0f}"),
        visible=_histogram(visible, VISIBLE_EDGES, "{:.0%} to {:.0%}") if visible else None,
        sizes=tuple(Counter(f"{record.width}x{record.height}" for record in part.images).most_common()),
    )


def _items(part: Split) -> list[int]:
    counts = Counter(annotation.image_id for annotation in part.annotations)
    return [counts[record.id] for record in part.images]


def _histogram(values: Sequence[float], edges: Sequence[float], label: str) -> Histogram:
    """Bins [edge, next edge), the last one with its end."""
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins.astype(np.intp), minlength=len(edges) - 1)
    names = [label.format(low, high) if np.isfinite(high) else f"from {low:.0f}" for low, high in pairwise(edges)]
    return Histogram(tuple(names), tuple(int(count) for count in counts))
