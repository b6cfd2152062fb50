"""The pictures that an arm of a ladder trains on: how many, and how far they look from those of the test set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from garbage_synth.io.dataset import chosen_split, read_dataset, split_files
from garbage_synth.io.images import read_rgb
from garbage_synth.io.resize import resize_rgb

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PictureSet", "distances", "read_set"]

_MOST_PICTURES = 200
_SHORT_PX = 256  # side at which sets are compared
_SMALLEST_PX = 16


@dataclass(frozen=True, slots=True)
class PictureSet:
    """One split of a dataset."""

    split: str
    paths: tuple[Path, ...]
    annotations: int


def read_set(root: Path, split: str | None, otherwise: Sequence[str]) -> PictureSet:
    """A split of a dataset, which one as `chosen_split` says. Raises InputError as that does."""
    dataset, files = read_dataset(root), split_files(root)
    found = chosen_split(root, dataset.splits, split, otherwise)
    part = dataset.splits[found]
    paths = tuple(files[found].locate(record.file_name) for record in part.images)
    return PictureSet(found, paths, sum(not entry.iscrowd for entry in part.annotations))


def distances(training: PictureSet, test: PictureSet) -> dict[str, float]:
    """How far training pictures are from test pictures, smaller is nearer; up to 200 of each, evenly chosen.

    swd: sliced Wasserstein distance, the mean over its levels (sharpness, texture); lab: earth mover's distance of the
    histograms of L, a and b, their sum (light, colour). All at the shape of the first test picture, its shorter side
    256 pixels or its own where that is less.
    """
    from garbage_synth.gan.distances import lab_distance, sliced_wasserstein

    height, width = read_rgb(test.paths[0]).shape[:2]
    scale = min(1.0, _SHORT_PX / min(height, width))
    size_wh = max(_SMALLEST_PX, round(width * scale)), max(_SMALLEST_PX, round(height * scale))
    ours, theirs = (_pictures(some.paths, size_wh) for some in (training, test))
    levels = sliced_wasserstein(ours, theirs)
    return {"swd": sum(levels.values()) / len(levels), "lab": sum(lab_distance(ours, theirs).values())}


def _pictures(paths: Sequence[Path], size_wh: tuple[int, int]) -> "Tensor":
    """uint8 (n, 3, h, w), RGB."""
    import torch

    count = min(len(paths), _MOST_PICTURES)
    chosen = [paths[number * len(paths) // count] for number in range(count)]
    return torch.from_numpy(np.stack([resize_rgb(read_rgb(path), size_wh).transpose(2, 0, 1) for path in chosen]))
