"""`export`: a dataset in the layout that a trainer expects, pictures copied byte for byte."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.formats import coco, coco_roboflow, hf_imagefolder, voc, yolo
from garbage_synth.io.atomic import write_bytes, write_text
from garbage_synth.io.dataset import read_dataset, split_files
from garbage_synth.io.images import image_size
from garbage_synth.io.output import fingerprint, open_output

__all__ = ["FORMATS", "export"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a format makes of a dataset: label files (path -> text) and the path of each picture."""

    encode: Callable[[Dataset], dict[str, str]]
    picture_paths: Callable[[Dataset], dict[tuple[str, int], str]]
    open_file: str
    knows_crowds: bool
    wants_validation: bool = False


def export(
    dataset: Path,
    out: Path,
    *,
    format: str,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes a dataset (a tree, or one COCO file beside its pictures) to `out` in another layout.

    format: one of `FORMATS`; yolo-seg is yolo with outlines instead of boxes. Category ids become 1..N in the order
    of the old ones (0..N-1 where the format counts so), annotation ids 1..M. The source is only read.
    Raises InputError for an unknown format, a dataset that cannot be read, and a picture that is missing, no picture
    or of another size than its entry says.
    """
    progress = progress or NullProgress()
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    layout = FORMATS[format]
    loaded = coco.renumbered(read_dataset(dataset))
    files = layout.encode(loaded)
    pictures = _pictures(dataset, loaded, layout)
    warnings = _warnings(format, layout, loaded)
    numbers = {
        "format": format,
        "classes": len(loaded.categories),
        "images": len(pictures),
        "annotations": sum(len(split.annotations) for split in loaded.splits.values()),
        "splits": {name: len(split.images) for name, split in loaded.splits.items()},
    }
    inputs = [dataset]
    if dataset.is_file():
        inputs += sorted(set(pictures.values()))
    folder = open_output(
        out,
        stage="export",
        identity={"format": format, "dataset": fingerprint(inputs)},
        inputs=inputs,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
    )
    if not (dry_run or folder.finished):
        progress.start(f"copying pictures to {format}", len(pictures))
        for target, source in sorted(pictures.items()):
            if not (folder.resuming and (out / target).is_file()):
                write_bytes(out / target, source.read_bytes())
            progress.advance()
        for name, text in sorted(files.items()):
            write_text(out / name, text)
        folder.finish(numbers)
    open_file = None if dry_run and not folder.finished else out / _first(files, layout.open_file)
    return StageSummary("export", out, numbers, warnings, open_file=open_file)


def _pictures(root: Path, dataset: Dataset, layout: Layout) -> dict[str, Path]:
    """Target path -> source file of every picture; all must be there before anything is written."""
    folders = split_files(root)
    targets = layout.picture_paths(dataset)
    pictures: dict[str, Path] = {}
    for name, split in dataset.splits.items():
        for record in split.images:
            source = folders[name].locate(record.file_name)
            if not source.is_file():
                raise InputError(f"{folders[name].annotations}: image {record.id}: {source} does not exist")
            width, height = image_size(source)
            if (width, height) != (record.width, record.height):
                raise InputError(
                    f"{folders[name].annotations}: image {record.id}: {source} is {width}x{height} (EXIF turned), not "
                    f"{record.width}x{record.height}, so that its boxes cannot be trusted; see what validate says"
                )
            target = targets[name, record.id]
            if target in pictures:
                raise InputError(f"{folders[name].annotations}: file_name {record.file_name!r} is listed twice")
            pictures[target] = source
    return pictures


def _warnings(format: str, layout: Layout, dataset: Dataset) -> tuple[str, ...]:
    warnings = []
    crowds = sum(entry.iscrowd for split in dataset.splits.values() for entry in split.annotations)
    if crowds and not layout.knows_crowds:
        warnings.append(f"{crowds} crowd regions are left out: {format} has no way to mark them")
    if len(dataset.splits) == 1 and layout.wants_validation:
        only = next(iter(dataset.splits))
        warnings.append(f"{only} is the only split: a {format} trainer needs another to validate on")
    return tuple(warnings)


def _first(files: Mapping[str, str], name: str) -> str:
    return next((path for path in sorted(files) if path.endswith(name)), name)


def _coco_files(dataset: Dataset) -> dict[str, str]:
    return {
        f"annotations/instances_{split}.json": json.dumps(coco.encode(dataset, split), sort_keys=True, allow_nan=False)
        for split in dataset.splits
    }


FORMATS: Mapping[str, Layout] = {
    "coco": Layout(_coco_files, yolo.picture_paths, ".json", knows_crowds=True),
    "yolo": Layout(yolo.encode, yolo.picture_paths, "data.yaml", knows_crowds=False, wants_validation=True),
    "yolo-seg": Layout(
        partial(yolo.encode, outlines=True), yolo.picture_paths, "data.yaml", knows_crowds=False, wants_validation=True
    ),
    "voc": Layout(voc.encode, voc.picture_paths, "labels.txt", knows_crowds=True),
    "coco-roboflow": Layout(
        coco_roboflow.encode,
        coco_roboflow.picture_paths,
        coco_roboflow.ANNOTATION_FILE,
        knows_crowds=True,
        wants_validation=True,
    ),
    "hf-imagefolder": Layout(
        hf_imagefolder.encode, hf_imagefolder.picture_paths, hf_imagefolder.METADATA_FILE, knows_crowds=False
    ),
}
"""The layouts by their names on the command line."""
