"""`subset`: some of a dataset, chosen by class, number and visibility."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Annotation, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import coco
from garbage_synth.io.output import fingerprint
from garbage_synth.stages.layout import Target, counts, tree_layout, write_dataset
from garbage_synth.stages.samples import Sample, assemble, read_source

__all__ = ["subset"]


def subset(
    dataset: Path,
    out: Path,
    *,
    classes: Sequence[str] | None = None,
    count: int | None = None,
    min_visible: float | None = None,
    drop_empty: bool = False,
    seed: int = 0,
    images: str = "copy",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes part of a dataset (a tree, or one COCO file beside its pictures) to `out` as a tree.

    classes: names of the categories that stay, with the annotations of theirs; ids become 1..N in the old order.
    min_visible: annotations with a `visible_fraction` (0..1) below it go; those without one stay and are counted.
    drop_empty: pictures left without annotation go, otherwise they stay as pictures of nothing.
    count: that many pictures, chosen by `seed`, every split in proportion and none emptied while it lasts.
    images: "copy" or "hardlink". Image ids and names stay, annotation ids become 1..M; YOLO labels where there were.

    Raises InputError where nothing is asked for, a class is unknown, fewer than `count` pictures (or none) are left, a
    number is out of range, and for the dataset and the output as `export` does.
    """
    if classes is None and count is None and min_visible is None and not drop_empty:
        raise InputError("nothing to choose by; give --classes, --count, --min-visible or --drop-empty")
    if min_visible is not None and not 0 <= min_visible <= 1:
        raise InputError(f"min-visible {min_visible} is outside 0..1")
    if count is not None and count < 1:
        raise InputError(f"count {count} is below 1")
    source = read_source(dataset)
    names = source.dataset.categories
    kept = set(names) if classes is None else _ids(classes, {name: key for key, name in names.items()}, dataset)

    def wanted(entry: Annotation) -> bool:
        visible = _visible(entry)
        return entry.category_id in kept and (min_visible is None or visible is None or visible >= min_visible)

    splits: dict[str, list[Sample]] = {}
    for name, samples in source.samples.items():
        chosen = [replace(sample, annotations=tuple(filter(wanted, sample.annotations))) for sample in samples]
        splits[name] = [sample for sample in chosen if sample.annotations or not drop_empty]
    if count is not None:
        splits = _drawn(splits, count, seed, dataset)
    warnings = [f"{name}: no picture is left, the split is gone" for name, samples in splits.items() if not samples]
    splits = {name: samples for name, samples in splits.items() if samples}
    if not splits:
        raise InputError(f"{dataset}: no picture is left; choose more")

    head = replace(source.dataset, categories={key: name for key, name in names.items() if key in kept})
    made, sources = assemble(head, splits)
    made = coco.renumbered(made)
    numbers = {
        **counts(made),
        "annotations_left_out": _annotations(source.dataset.splits) - _annotations(made.splits),
        "pictures_without_annotations": sum(not sample.annotations for part in splits.values() for sample in part),
    }
    if min_visible is not None:
        unknown = sum(_visible(entry) is None for split in made.splits.values() for entry in split.annotations)
        numbers["annotations_without_visible_fraction"] = unknown
    settings = {
        "classes": None if classes is None else sorted(set(classes)),
        "count": count,
        "drop_empty": drop_empty,
        "min_visible": min_visible,
        "seed": seed,
    }
    return write_dataset(
        Target(out, images, overwrite, resume, dry_run, progress),
        tree_layout(dataset),
        made,
        sources,
        stage="subset",
        identity={"dataset": fingerprint(source.inputs), **settings},
        inputs=source.inputs,
        numbers=numbers,
        warnings=warnings,
    )


def _ids(classes: Sequence[str], ids: Mapping[str, int], dataset: Path) -> set[int]:
    unknown = next((name for name in classes if name not in ids), None)
    if unknown is not None or not classes:
        near = difflib.get_close_matches(str(unknown), ids, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(ids)}"
        raise InputError(f"{dataset}: no class {unknown or ''!r}; {hint}")
    return {ids[name] for name in classes}


def _visible(entry: Annotation) -> float | None:
    value = entry.extra.get("visible_fraction")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _annotations(splits: Mapping[str, Split]) -> int:
    return sum(len(split.annotations) for split in splits.values())


def _drawn(splits: Mapping[str, Sequence[Sample]], count: int, seed: int, dataset: Path) -> dict[str, list[Sample]]:
    """`count` samples, every split in proportion (largest remainder), in their old order."""
    total = sum(len(samples) for samples in splits.values())
    if total < count:
        raise InputError(f"{dataset}: only {total} pictures are left to choose {count} from; give a smaller --count")
    filled = [name for name, samples in splits.items() if samples]
    exact = {name: count * len(splits[name]) / total for name in filled}
    quotas = {name: int(exact[name]) for name in filled}
    if count >= len(filled):
        quotas = {name: max(quota, 1) for name, quota in quotas.items()}
    while sum(quotas.values()) != count:
        step = 1 if sum(quotas.values()) < count else -1
        # the split that is furthest from its share, without emptying one
        name = max(filled, key=lambda name: (quotas[name] + step > 0, step * (exact[name] - quotas[name])))
        quotas[name] += step
    drawn: dict[str, list[Sample]] = {name: [] for name in splits}
    for name in filled:
        order = rng_for(seed, "subset", name, 0).permutation(len(splits[name]))
        drawn[name] = [splits[name][index] for index in sorted(order[: quotas[name]])]
    return drawn
