"""Labelled pictures of the synthetic dataset, by which a training sees whether its generator keeps labels true."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.displacement import moved_mask
from garbage_synth.core.masks import box_of_mask
from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.fidelity.verdicts import Label
from garbage_synth.gan.networks import SIDE_MULTIPLE
from garbage_synth.io.dataset import SplitFiles, read_dataset, split_files
from garbage_synth.io.images import read_rgb
from garbage_synth.io.resize import resize_labels
from garbage_synth.stages.label_displacement import moved_picture
from garbage_synth.stages.label_verdicts import labels_of

__all__ = ["LabelledFrames", "annotation_file", "labelled_frames"]

_LARGEST_SIDE_PX = 512
_SMALLEST_PART = 0.5  # of an item inside the cut

Picture = NDArray[np.uint8]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrames:
    """Pictures RGB uint8 (h, w, 3) with the masks of their items, bool (h, w). See `gan.evaluation.LabelWitness`."""

    pictures: tuple[Picture, ...]
    masks: tuple[tuple[NDArray[np.bool_], ...], ...]
    check: LabelCheck = field(default_factory=LabelCheck)

    def held(self, index: int, after_rgb: Picture, displacement: NDArray[np.float32] | None) -> tuple[int, int]:
        """(labels that hold as they are, labels in all) of picture `index` rewritten as after_rgb."""
        before_rgb, masks = self.pictures[index], self.masks[index]
        if displacement is not None:
            before_rgb = moved_picture(before_rgb, displacement)
            masks = tuple(moved_mask(mask, displacement) for mask in masks)
        verdict = self.check(before_rgb, after_rgb, [_label(mask) for mask in masks])
        return sum(own.status == "accepted" for own in verdict.verdicts), len(verdict.verdicts)


def annotation_file(synthetic: Path) -> Path | None:
    """The COCO file of a dataset's train split; None where the folder is no dataset, or has no such split."""
    files = _train_files(synthetic)
    return files.annotations if files else None


def labelled_frames(synthetic: Path, count: int, resized: Callable[[Picture], Picture]) -> LabelledFrames | None:
    """Up to `count` labelled pictures spread evenly over a dataset's train split; None where there is none.

    resized: brings a picture to the size it is trained at. A larger one than 512 pixels is cut to the place that holds
    the most items whole or nearly so; an item with less than half of it inside does not count, nor do crowd regions.
    Raises InputError for a picture or mask that cannot be read.
    """
    files = _train_files(synthetic)
    if files is None or count == 0:
        return None
    split = read_dataset(synthetic).splits["train"]
    items: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in split.annotations:
        if not annotation.iscrowd:
            items[annotation.image_id].append(annotation)
    records = [record for record in split.images if items[record.id]]
    chosen = sorted({number * len(records) // count for number in range(count)}) if records else []
    frames = [_frame(files.locate(records[place].file_name), items[records[place].id], resized) for place in chosen]
    frames = [(picture, masks) for picture, masks in frames if masks]
    return LabelledFrames(tuple(frame[0] for frame in frames), tuple(frame[1] for frame in frames)) if frames else None


def _train_files(synthetic: Path) -> SplitFiles | None:
    try:
        return split_files(synthetic).get("train")
    except InputError:
        return None  # a folder of pictures


def _frame(
    path: Path, annotations: Sequence[Annotation], resized: Callable[[Picture], Picture]
) -> tuple[Picture, tuple[NDArray[np.bool_], ...]]:
    whole = read_rgb(path)
    labels = labels_of(annotations, (whole.shape[0], whole.shape[1]), str(path))
    picture = resized(whole)
    size_wh = picture.shape[1], picture.shape[0]
    masks = [resize_labels(label.filled(whole.shape[:2]).astype(np.uint8), size_wh) > 0 for label in labels]
    masks = [mask for mask in masks if mask.any()]
    windows = [_window(picture.shape[:2], box_of_mask(mask)) for mask in masks] or [_window(picture.shape[:2], None)]
    best = max(windows, key=lambda window: len(_inside(masks, window)))
    return np.ascontiguousarray(picture[best]), _inside(masks, best)


def _window(size_hw: tuple[int, ...], box: tuple[int, int, int, int] | None) -> Window:
    """The part of a picture around the middle of a box, of at most 512 pixels a side that a generator takes."""
    x0, y0, x1, y1 = box or (0, 0, size_hw[1], size_hw[0])
    slices = []
    for length, middle in zip(size_hw, ((y0 + y1) // 2, (x0 + x1) // 2), strict=True):
        side = min(length, _LARGEST_SIDE_PX) // SIDE_MULTIPLE * SIDE_MULTIPLE
        start = min(max(middle - side // 2, 0), length - side)
        slices.append(slice(start, start + side))
    return slices[0], slices[1]


def _inside(masks: Sequence[NDArray[np.bool_]], window: Window) -> tuple[NDArray[np.bool_], ...]:
    """The masks in the window, of items of which at least half is inside."""
    return tuple(mask[window] for mask in masks if mask[window].sum() >= _SMALLEST_PART * mask.sum())


def _label(mask: NDArray[np.bool_]) -> Label:
    return Label(box_of_mask(mask) or (0, 0, 0, 0), mask)
