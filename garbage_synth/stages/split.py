"""`split`: a new division of a dataset's pictures, every class in proportion, pictures of one source together."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.core.rng import rng_for
from garbage_synth.core.stratify import stratified
from garbage_synth.core.types import Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.io.output import fingerprint
from garbage_synth.stages.layout import Target, counts, tree_layout, write_dataset
from garbage_synth.stages.samples import Sample, assemble, distinct_names, numbered, read_source

__all__ = ["split"]

SOURCE_FIELD = "source"
EMPTY = 0
"""Stands for the class of pictures without items; real ones count from 1."""


def split(
    dataset: Path,
    out: Path,
    *,
    val_fraction: float,
    test_fraction: float = 0.0,
    by: str | None = None,
    seed: int = 0,
    images: str = "copy",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes the pictures of a dataset (a tree, or one COCO file beside its pictures), divided anew, to `out` (a tree).

    val_fraction, test_fraction: parts of the pictures, 0..1; the rest is train. Every class is divided in proportion as
    far as that goes. by: what pictures have in common that must stay together: the name of a field of the image
    entries, "folder" (that of the file name) or "prefix:SEP" (the file name up to the last SEP: "prefix:_" takes
    line3_0017.jpg for line3); by default the field `source` where there is one. A picture without the field is a group
    of its own. Ids are numbered 1..N; where pictures of two old splits share a name, all names get that of their old
    split as prefix. images: "copy" or "hardlink". YOLO labels where there were some.

    Warnings name classes without item in a split, and count composited crops (`crop_id`) that are in several: their
    pictures cannot be told apart without tearing, for that is done by `composite` itself. Raises InputError for
    fractions out of range, a `by` that no picture has, fewer groups than splits, and as `export` does.
    """
    shares = {"train": 1 - val_fraction - test_fraction, "val": val_fraction, "test": test_fraction}
    if not (0 < val_fraction < 1 and 0 <= test_fraction < 1 and shares["train"] > 1e-9):
        raise InputError(
            f"val-fraction {val_fraction} and test-fraction {test_fraction} must lie in 0..1 and leave some for train"
        )
    shares = {name: share for name, share in shares.items() if share}
    source = read_source(dataset)
    pool = [sample for part in source.samples.values() for sample in part]
    groups = _groups(pool, by, seed, dataset)
    if len(groups) < len(shares):
        what = "pictures" if len(groups) == len(pool) else f"groups of pictures, by {by or SOURCE_FIELD},"
        raise InputError(f"{dataset}: {len(groups)} {what} cannot be divided into {', '.join(shares)}")
    parts = stratified([_content(group) for group in groups], [len(group) for group in groups], list(shares.values()))
    place = {id(sample): part for group, part in zip(groups, parts, strict=True) for sample in group}
    chosen = {
        name: [sample for sample in pool if place[id(sample)] == part] for part, name in enumerate(shares)
    }  # in the old order
    made, paths = assemble(
        source.dataset, {name: numbered(samples) for name, samples in distinct_names(chosen).items()}
    )
    return write_dataset(
        Target(out, images, overwrite, resume, dry_run, progress),
        tree_layout(dataset),
        made,
        paths,
        stage="split",
        identity={
            "dataset": fingerprint(source.inputs),
            "by": by,
            "seed": seed,
            "test_fraction": test_fraction,
            "val_fraction": val_fraction,
        },
        inputs=source.inputs,
        numbers={**counts(made), "groups": len(groups), "largest_class_deviation": _deviation(made)},
        warnings=[*_absent(made), *_torn_crops(made)],
    )


def _groups(pool: Sequence[Sample], by: str | None, seed: int, dataset: Path) -> list[list[Sample]]:
    """The samples that must stay together, groups in an order that the seed decides."""
    key_of = _key(by)
    together: dict[str, list[Sample]] = defaultdict(list)
    known = 0
    for index, sample in enumerate(pool):
        key = key_of(sample.record)
        known += key is not None
        together[f"picture {index}" if key is None else f"key {key}"].append(sample)
    if by is not None and not known:
        fields = sorted({field for sample in pool for field in sample.record.extra})
        raise InputError(
            f"{dataset}: no picture has {by!r} to divide by; fields are {', '.join(fields) or 'none'}; "
            "folder and prefix:SEP go by the file name"
        )
    groups = list(together.values())
    return [groups[index] for index in rng_for(seed, "split", "", 0).permutation(len(groups))]


def _key(by: str | None) -> Callable[[ImageRecord], str | None]:
    """What a picture's group is called, None where it has none."""

    def folder(record: ImageRecord) -> str | None:
        parent = str(PurePosixPath(record.file_name).parent)
        return None if parent == "." else parent

    def prefix(record: ImageRecord) -> str | None:
        stem = str(PurePosixPath(record.file_name).with_suffix(""))
        return stem.rpartition(separator)[0] or None

    def field(record: ImageRecord) -> str | None:
        value = record.extra.get(by or SOURCE_FIELD)
        return None if value is None else json.dumps(value, sort_keys=True)

    word, colon, separator = (by or "").partition(":")
    if word == "prefix" and colon:
        if not separator:
            raise InputError("--by prefix: needs the separator, such as prefix:_")
        return prefix
    return folder if by == "folder" else field


def _content(group: Sequence[Sample]) -> Mapping[int, int]:
    content: Counter[int] = Counter()
    for sample in group:
        content.update([entry.category_id for entry in sample.annotations] or [EMPTY])
    return content


def _shares(dataset: Dataset) -> dict[str, Counter[int]]:
    return {name: Counter(entry.category_id for entry in part.annotations) for name, part in dataset.splits.items()}


def _deviation(dataset: Dataset) -> float:
    """The largest difference between a class's part of a split's items and its part of all items, 0..1."""
    shares = _shares(dataset)
    whole = sum(shares.values(), Counter[int]())
    return max(
        (
            round(abs(own[key] / own.total() - whole[key] / whole.total()), 4)
            for own in shares.values()
            for key in dataset.categories
            if own
        ),
        default=0.0,
    )


def _absent(dataset: Dataset) -> list[str]:
    shares = _shares(dataset)
    whole = sum(shares.values(), Counter[int]())
    missing = {name: [dataset.categories[key] for key in sorted(whole) if not own[key]] for name, own in shares.items()}
    return [f"{name} has no item of {', '.join(names)}" for name, names in missing.items() if names]


def _torn_crops(dataset: Dataset) -> list[str]:
    homes: dict[str, set[str]] = defaultdict(set)
    for name, part in dataset.splits.items():
        for entry in part.annotations:
            if isinstance(entry.extra.get("crop_id"), str):
                homes[entry.extra["crop_id"]].add(name)
    torn = sum(len(names) > 1 for names in homes.values())
    if not torn:
        return []
    return [
        f"{torn} of {len(homes)} crops are in several splits, so that scores on val flatter; "
        "composite keeps them apart by itself (--val-fraction)"
    ]
