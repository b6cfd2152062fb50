"""`merge`: several datasets in one tree, ids, categories and splits united, conflicts named."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from garbage_synth import __version__
from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import split_files
from garbage_synth.io.output import fingerprint
from garbage_synth.stages.layout import Target, counts, tree_layout, write_dataset
from garbage_synth.stages.samples import Sample, Source, assemble, distinct_names, numbered, read_source

__all__ = ["merge"]

SHOWN = 3
"""Conflicts of one kind that are named; the rest is counted."""


def merge(
    datasets: Sequence[Path],
    out: Path,
    *,
    images: str = "copy",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes datasets (trees, or COCO files beside their pictures) to `out` as one tree.

    Categories and splits are one where their names are, ids are numbered 1..N in the order of the datasets; all further
    fields of images and annotations stay, licences are united. Where two pictures of a split would share a name, all
    names get their dataset's folder name as prefix. images: "copy" or "hardlink". YOLO labels where one input has them.

    Warnings name categories of one name that differ otherwise (the first dataset's word counts), split names that mean
    the same (val, valid), and pictures that are there twice, byte for byte (both stay). Raises InputError for fewer
    than two datasets, one given twice, a tree given with one of its own COCO files, names that meet in spite of the
    prefix, and as `export` does.
    """
    if len(datasets) < 2 or len({path.resolve() for path in datasets}) < len(datasets):
        raise InputError("merge needs two datasets or more, each given once")
    _refuse_parts(datasets)
    labels = _labels(datasets)
    sources = [read_source(path, label) for path, label in zip(datasets, labels, strict=True)]
    head, warnings = _head(sources, labels)
    ids = {name: key for key, name in head.categories.items()}
    licences = {json.dumps(_unnumbered(entry), sort_keys=True): entry["id"] for entry in head.licenses}
    pooled: dict[str, list[Sample]] = {name: [] for source in sources for name in source.samples}
    for source in sources:
        for name, samples in source.samples.items():
            pooled[name] += [_translated(sample, source.dataset, ids, licences) for sample in samples]
    splits = {name: numbered(samples) for name, samples in sorted(distinct_names(pooled).items())}
    warnings += _same_splits(splits)
    twins = _twins(splits)
    warnings += _shortened(f"the same picture twice: {one} and {other}" for one, other in twins)
    made, paths = assemble(head, splits)
    inputs = [path for source in sources for path in source.inputs]
    named = list(zip(labels, sources, strict=True))
    identity = {label: fingerprint(source.inputs) for label, source in named}
    return write_dataset(
        Target(out, images, overwrite, resume, dry_run, progress),
        tree_layout(*datasets),
        made,
        paths,
        stage="merge",
        identity={"datasets": identity, "order": labels},
        inputs=inputs,
        numbers={
            "datasets": {label: sum(map(len, source.samples.values())) for label, source in named},
            **counts(made),
            "pictures_twice": len(twins),
        },
        warnings=warnings,
    )


def _refuse_parts(datasets: Sequence[Path]) -> None:
    """Refuse a COCO file that belongs to a tree which is given too: all its pictures would be there twice."""
    for tree in filter(Path.is_dir, datasets):
        own = {files.annotations.resolve() for files in split_files(tree).values()}
        for path in datasets:
            if path.resolve() in own:
                raise InputError(f"{path} is part of {tree}, which is given too; leave one of them out")


def _labels(datasets: Sequence[Path]) -> list[str]:
    """A word for each dataset: its folder's name (that of a file's dataset), with a number where two are the same."""
    names = []
    for path in datasets:
        real = path.resolve()
        if real.is_file():
            real = real.parent.parent if real.parent.name == "annotations" else real.parent
        names.append(real.name or "root")
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{number}" for number, name in enumerate(names, start=1)]


def _head(sources: Sequence[Source], labels: Sequence[str]) -> tuple[Dataset, list[str]]:
    """The united categories, info and licences, and a warning for every category that datasets describe differently."""
    ids: dict[str, int] = {}
    extras: dict[str, dict[str, Any]] = defaultdict(dict)
    said_by: dict[tuple[str, str], str] = {}
    conflicts: list[str] = []
    licences: dict[str, dict[str, Any]] = {}
    for source, label in zip(sources, labels, strict=True):
        for key, name in source.dataset.categories.items():
            ids.setdefault(name, len(ids) + 1)
            for field, value in source.dataset.category_extras.get(key, {}).items():
                first = said_by.setdefault((name, field), label)
                kept = extras[name].setdefault(field, value)
                if kept != value:
                    conflicts.append(
                        f"category {name!r}: {field} is {kept!r} in {first} (kept), but {value!r} in {label}"
                    )
        for entry in map(_unnumbered, source.dataset.licenses):
            licences.setdefault(json.dumps(entry, sort_keys=True), {"id": len(licences) + 1, **entry})
    infos = [dict(source.dataset.info) for source in sources]
    info = infos[0]
    if any(other != info for other in infos):
        merged = [{"dataset": label, "info": own} for label, own in zip(labels, infos, strict=True)]
        info = {"description": "Merged by garbage-synth", "version": __version__, "merged": merged}
    head = Dataset(
        categories={key: name for name, key in ids.items()},
        splits={},
        info=info,
        licenses=tuple(licences.values()),
        category_extras={ids[name]: extra for name, extra in extras.items()},
    )
    return head, _shortened(conflicts)


def _translated(sample: Sample, dataset: Dataset, ids: Mapping[str, int], licences: Mapping[str, int]) -> Sample:
    """The sample with the category ids and the licence id of the united dataset."""
    annotations = tuple(
        replace(entry, category_id=ids[dataset.categories[entry.category_id]]) for entry in sample.annotations
    )
    record, own = sample.record, sample.record.extra.get("license")
    entry = next((entry for entry in dataset.licenses if own is not None and entry.get("id") == own), None)
    if entry is not None:
        new = licences[json.dumps(_unnumbered(entry), sort_keys=True)]
        record = replace(record, extra={**record.extra, "license": new})
    return replace(sample, record=record, annotations=annotations)


def _unnumbered(licence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in licence.items() if name != "id"}


def _same_splits(splits: Iterable[str]) -> list[str]:
    alike = sorted({"val", "valid", "validation"} & set(splits))
    return [f"splits {' and '.join(alike)} stay apart; rename one where they mean the same"] if len(alike) > 1 else []


def _twins(splits: Mapping[str, Sequence[Sample]]) -> list[tuple[str, str]]:
    """Pairs (first, other) of pictures with the same bytes, as <split>/<file name> in the united dataset."""
    by_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for name, samples in splits.items():
        for sample in samples:
            by_size[sample.path.stat().st_size].append((f"{name}/{sample.record.file_name}", sample.path))
    pairs = []
    for members in by_size.values():
        first: dict[str, str] = {}
        for name, path in members if len(members) > 1 else ():
            with path.open("rb") as stream:
                one = first.setdefault(hashlib.file_digest(stream, "sha256").hexdigest(), name)
            if one != name:
                pairs.append((one, name))
    return pairs


def _shortened(lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    rest = len(lines) - SHOWN
    return [*lines[:SHOWN], f"... and {rest} more of these: {lines[SHOWN]}"] if rest > 1 else lines
