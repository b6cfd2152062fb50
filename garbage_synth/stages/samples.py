"""A dataset as a list of pictures with their annotations, to be chosen from, divided anew or put beside others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import coco
from garbage_synth.io.dataset import read_dataset
from garbage_synth.io.pictures import locate_pictures

__all__ = ["Sample", "Source", "assemble", "distinct_names", "numbered", "read_source"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: its record, its annotations and its file. origin: prefix of its name where another has the same."""

    record: ImageRecord
    annotations: tuple[Annotation, ...]
    path: Path
    origin: str


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset that was read. inputs: what an output may not touch and what identifies it."""

    dataset: Dataset
    samples: Mapping[str, tuple[Sample, ...]]
    inputs: tuple[Path, ...]


def read_source(root: Path, origin: str | None = None) -> Source:
    """The dataset in a tree or in one COCO file, category ids 1..N; origin of its samples: by default their split.

    Raises InputError as `read_dataset` and `locate_pictures` do.
    """
    dataset = coco.renumbered(read_dataset(root))
    paths = locate_pictures(root, dataset)
    samples: dict[str, tuple[Sample, ...]] = {}
    for name, split in dataset.splits.items():
        items: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            items[annotation.image_id].append(annotation)
        samples[name] = tuple(
            Sample(record, tuple(items[record.id]), paths[name, record.id], origin or name) for record in split.images
        )
    inputs = (root, *sorted(set(paths.values()))) if root.is_file() else (root,)
    return Source(dataset, samples, inputs)


def assemble(head: Dataset, splits: Mapping[str, Sequence[Sample]]) -> tuple[Dataset, dict[tuple[str, int], Path]]:
    """The dataset of these samples and the file of each picture by (split, image id); head: all but its splits.

    Image ids are those of the records, annotation ids become 1..M in each split, in the order of the samples.
    """
    made: dict[str, Split] = {}
    for name, samples in splits.items():
        annotations = [replace(entry, image_id=sample.record.id) for sample in samples for entry in sample.annotations]
        made[name] = Split(
            tuple(sample.record for sample in samples),
            tuple(replace(entry, id=number) for number, entry in enumerate(annotations, start=1)),
        )
    sources = {(name, sample.record.id): sample.path for name, samples in splits.items() for sample in samples}
    return replace(head, splits=made), sources


def numbered(samples: Iterable[Sample]) -> list[Sample]:
    """The samples with image ids 1..n in their order."""
    return [replace(sample, record=replace(sample.record, id=number)) for number, sample in enumerate(samples, start=1)]


def distinct_names(splits: Mapping[str, Sequence[Sample]]) -> dict[str, list[Sample]]:
    """The samples with file names that no two of a split share, endings aside (they would share a label file).

    Where samples of two origins meet in a name anywhere, all names get their origin as prefix: sub/a.jpg becomes
    sub/<origin>_a.jpg. Raises InputError where even these meet.
    """
    if not any(_meetings(samples) for samples in splits.values()):
        return {name: list(samples) for name, samples in splits.items()}
    renamed = {name: [_prefixed(sample) for sample in samples] for name, samples in splits.items()}
    for samples in renamed.values():
        for one, other in _meetings(samples):
            raise InputError(f"{one.path} and {other.path} would both be named {other.record.file_name}; rename one")
    return renamed


def _meetings(samples: Iterable[Sample]) -> list[tuple[Sample, Sample]]:
    """Pairs of samples of different origins with the same name."""
    seen: dict[str, Sample] = {}
    pairs = []
    for sample in samples:
        first = seen.setdefault(str(PurePosixPath(sample.record.file_name).with_suffix("")), sample)
        if first.origin != sample.origin:
            pairs.append((first, sample))
    return pairs


def _prefixed(sample: Sample) -> Sample:
    path = PurePosixPath(sample.record.file_name)
    return replace(sample, record=replace(sample.record, file_name=str(path.with_name(f"{sample.origin}_{path.name}"))))
