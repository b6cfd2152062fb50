"""`report`: one HTML page with pictures, boxes, masks and counts of one or several datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Annotation, Dataset, ImageRecord
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.atomic import write_text
from garbage_synth.io.dataset import SplitFiles, read_dataset, read_text, split_files
from garbage_synth.io.images import encode_jpeg, read_rgb
from garbage_synth.report.draw import class_colour, draw_labels, fit
from garbage_synth.report.page import GENERATOR, DatasetView, Page, PictureCell, jpeg_uri, render
from garbage_synth.report.statistics import split_statistics

__all__ = ["report"]

SIDE_PX = 720
JPEG_QUALITY = 82

Key = tuple[str, str]  # split, file_name


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    dataset: Dataset
    files: Mapping[str, SplitFiles]
    records: Mapping[Key, ImageRecord]
    items: Mapping[Key, Sequence[Annotation]]


def report(
    datasets: Sequence[Path],
    out: Path,
    *,
    pictures: int = 8,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes the page `out` about the datasets; pictures that all of them hold are shown side by side.

    pictures: how many of each dataset, spread evenly over its splits, those with items first. dry_run: read the
    datasets, write nothing.
    Raises InputError for a dataset or picture that cannot be read and for an `out` inside a dataset,
    OutputExistsError where `out` exists (with overwrite: where it is no report of ours).
    """
    progress = progress or NullProgress()
    if not datasets:
        raise InputError("no dataset given; expected at least one folder with annotations/instances_<split>.json")
    _refuse_loss(datasets, out, overwrite)
    names = _names(datasets)
    sources = [_source(root, name) for root, name in zip(datasets, names, strict=True)]
    if dry_run:
        counts = {name: _counts(source.dataset) for name, source in zip(names, sources, strict=True)}
        return StageSummary("report", out, {"datasets": counts})
    shared = [key for key in sources[0].records if all(key in source.records for source in sources)]
    compared = len(sources) > 1 and bool(shared)

    rows: list[list[PictureCell]] = []
    cells: dict[str, list[PictureCell]] = {name: [] for name in names}
    keys = {source.name: shared if compared else list(source.records) for source in sources}
    chosen = {source.name: _spread(source, keys[source.name], pictures) for source in sources}
    progress.start("drawing pictures", sum(map(len, chosen.values())))
    if compared:
        for key in chosen[names[0]]:
            rows.append([_cell(source, key, f"{source.name}: ", progress) for source in sources])
    else:
        for source in sources:
            cells[source.name] = [_cell(source, key, "", progress) for key in chosen[source.name]]
    page = Page(
        title="Report on " + ", ".join(names),
        classes=_classes(sources),
        datasets=[
            DatasetView(
                source.name,
                [(split, split_statistics(source.dataset, split)) for split in _ordered(source.dataset.splits)],
                cells[source.name],
            )
            for source in sources
        ],
        rows=rows,
    )
    text = render(page)
    write_text(out, text)
    numbers = {
        "datasets": {name: _counts(source.dataset) for name, source in zip(names, sources, strict=True)},
        "pictures": sum(map(len, rows)) + sum(map(len, cells.values())),
        "size_mb": round(len(text) / 1e6, 1),
    }
    return StageSummary("report", out, numbers, open_file=out)


def _refuse_loss(datasets: Sequence[Path], out: Path, overwrite: bool) -> None:
    for root in datasets:
        if root.is_dir() and out.resolve().is_relative_to(root.resolve()):
            raise InputError(f"output {out} lies inside the dataset {root}; choose another --out")
    if out.is_dir():
        raise InputError(f"output {out} is a folder, an HTML file was expected")
    if out.exists():
        if not overwrite:
            raise OutputExistsError(f"output {out} exists; give --overwrite to replace it, or another --out")
        if f'content="{GENERATOR}"' not in read_text(out)[:2000]:
            raise OutputExistsError(f"output {out} is no report of ours, --overwrite does not replace it")


def _source(root: Path, name: str) -> _Source:
    dataset = read_dataset(root)
    records: dict[Key, ImageRecord] = {}
    items: dict[Key, list[Annotation]] = {}
    for split_name in _ordered(dataset.splits):
        split = dataset.splits[split_name]
        keys = {record.id: (split_name, record.file_name) for record in split.images}
        for record in split.images:
            records[keys[record.id]] = record
            items[keys[record.id]] = []
        for annotation in split.annotations:
            items[keys[annotation.image_id]].append(annotation)
    return _Source(name, dataset, split_files(root), records, items)


def _spread(source: _Source, keys: Sequence[Key], count: int) -> list[Key]:
    """`count` of the keys, evenly spaced, in their order; pictures without items only where there are no others."""
    with_items = [key for key in keys if source.items[key]]
    candidates = with_items if len(with_items) >= count else list(keys)
    if len(candidates) <= count:
        return candidates
    return [candidates[index * len(candidates) // count] for index in range(count)]


def _cell(source: _Source, key: Key, prefix: str, progress: Progress) -> PictureCell:
    split, file_name = key
    image_rgb = read_rgb(source.files[split].locate(file_name))
    items = source.items[key]
    labelled = draw_labels(image_rgb, items, source.dataset.categories, side_px=SIDE_PX)
    plain, _ = fit(image_rgb, SIDE_PX)
    progress.advance()
    return PictureCell(
        caption=f"{prefix}{split}/{file_name}, {len(items)} item{'' if len(items) == 1 else 's'}",
        plain_uri=jpeg_uri(encode_jpeg(plain, JPEG_QUALITY)),
        labelled_uri=jpeg_uri(encode_jpeg(labelled, JPEG_QUALITY)),
        size_px=(plain.shape[1], plain.shape[0]),
    )


def _names(datasets: Sequence[Path]) -> list[str]:
    """Folder names, with those above them where they are equal: the page holds no paths of this machine."""
    roots = [root.resolve() for root in datasets]
    for depth in range(1, 4):
        names = ["/".join((root.with_suffix("") if root.is_file() else root).parts[-depth:]) for root in roots]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({index})" for index, name in enumerate(names, start=1)]


def _classes(sources: Sequence[_Source]) -> list[tuple[str, tuple[int, int, int]]]:
    classes: dict[str, tuple[int, int, int]] = {}
    for source in sources:
        for index, (_, name) in enumerate(sorted(source.dataset.categories.items())):
            classes.setdefault(name, class_colour(index))
    return list(classes.items())


def _ordered(splits: Mapping[str, object]) -> list[str]:
    """Split names, train first."""
    return sorted(splits, key=lambda name: (name != "train", name))


def _counts(dataset: Dataset) -> dict[str, int]:
    return {
        "images": sum(len(split.images) for split in dataset.splits.values()),
        "items": sum(len(split.annotations) for split in dataset.splits.values()),
    }
