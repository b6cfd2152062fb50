"""The layouts that datasets are written in, and the one writer of them all: export, merge, subset and split."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.formats import coco, coco_roboflow, hf_imagefolder, voc, webdataset, yolo
from garbage_synth.io.atomic import write_text
from garbage_synth.io.output import open_output
from garbage_synth.io.pictures import place_picture, require_placement
from garbage_synth.io.tar import write_tar

__all__ = ["FORMATS", "Layout", "Target", "counts", "sharded", "tree_layout", "write_dataset"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a format makes of a dataset: label files (path -> text) and the path of each picture by (split, image id).

    packed: the first folder of a path that ends in .tar is a tar file, the rest the name in it.
    """

    name: str
    encode: Callable[[Dataset], dict[str, str]]
    picture_paths: Callable[[Dataset], dict[tuple[str, int], str]]
    open_file: str
    knows_crowds: bool
    wants_validation: bool = False
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how a dataset is written. images: "copy" or "hardlink"; the rest as every stage has it."""

    out: Path
    images: str = "copy"
    overwrite: bool = False
    resume: bool = False
    dry_run: bool = False
    progress: Progress | None = None


def write_dataset(
    target: Target,
    layout: Layout,
    dataset: Dataset,
    sources: Mapping[tuple[str, int], Path],
    *,
    stage: str,
    identity: Mapping[str, Any],
    inputs: Sequence[Path],
    numbers: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> StageSummary:
    """Write a dataset in a layout; sources: the file of each picture by (split, image id), copied byte for byte.

    identity, inputs: as `open_output` takes them, with the folders of the pictures as further inputs; inputs are never
    written. How pictures are placed is no part of the identity, as the bytes are the same: where links cannot go on,
    copies do, and what is there stays. What the layout cannot hold is added to the warnings. Raises InputError where
    two pictures would share a path, and as `open_output` and `place_picture` do.
    """
    out, progress = target.out, target.progress or NullProgress()
    files = layout.encode(dataset)
    pictures: dict[str, Path] = {}
    for key, path in layout.picture_paths(dataset).items():
        if path in pictures:
            raise InputError(f"{sources[key]} and {pictures[path]} would both become {path}; rename one")
        pictures[path] = sources[key]
    if layout.packed and target.images == "hardlink":
        raise InputError(f"{layout.name} packs the pictures into tar files, which cannot be links; give --images copy")
    require_placement(target.images, out, pictures.values())
    folder = open_output(
        out,
        stage=stage,
        identity=identity,
        # of a bare COCO file, the folders of its pictures too
        inputs=[*inputs, *sorted({source.parent for source in sources.values()})],
        overwrite=target.overwrite,
        resume=target.resume,
        dry_run=target.dry_run,
        progress=progress,
    )
    if not (target.dry_run or folder.finished):
        progress.start(f"{'linking' if target.images == 'hardlink' else 'copying'} pictures", len(pictures))
        if layout.packed:
            _write_shards(out, files, pictures, folder.resuming, progress)
        else:
            for path, source in sorted(pictures.items()):
                if not (folder.resuming and (out / path).is_file()):
                    place_picture(source, out / path, target.images)
                progress.advance()
        for path, text in sorted(files.items()):
            if not (layout.packed and _shard(path)):
                write_text(out / path, text)
        folder.finish(numbers)
    unwritten = target.dry_run and not folder.finished
    open_file = None if unwritten else out / _first(files, layout.open_file)
    return StageSummary(stage, out, numbers, (*warnings, *_warnings(layout, dataset)), open_file=open_file)


def counts(dataset: Dataset) -> dict[str, Any]:
    """What every summary says of a dataset."""
    return {
        "classes": len(dataset.categories),
        "images": sum(len(split.images) for split in dataset.splits.values()),
        "annotations": sum(len(split.annotations) for split in dataset.splits.values()),
        "splits": {name: len(split.images) for name, split in dataset.splits.items()},
    }


def tree_layout(*roots: Path) -> Layout:
    """Our own tree: COCO, and YOLO labels beside it where one of the datasets in `roots` has them."""
    if not any((root / "data.yaml").is_file() and (root / "labels").is_dir() for root in roots):
        return FORMATS["coco"]
    return Layout(
        "yolo",
        lambda dataset: _coco_files(dataset) | yolo.encode(dataset),
        yolo.picture_paths,
        ".json",
        knows_crowds=False,
        wants_validation=True,
    )


def sharded(shard_size: int) -> Layout:
    """The layout webdataset with `shard_size` images in a shard. Raises InputError where that is below 1."""
    if shard_size < 1:
        raise InputError(f"shard size {shard_size} is below 1; give the images of a shard, such as 1000")
    return Layout(
        "webdataset",
        partial(webdataset.encode, shard_size=shard_size),
        partial(webdataset.picture_paths, shard_size=shard_size),
        webdataset.DATASET_FILE,
        knows_crowds=True,
        packed=True,
    )


def _write_shards(
    out: Path, files: Mapping[str, str], pictures: Mapping[str, Path], resuming: bool, progress: Progress
) -> None:
    paths = sorted(path for path in (*files, *pictures) if _shard(path))
    for shard, members in groupby(paths, _shard):
        names = list(members)
        if not (resuming and (out / shard).is_file()):
            write_tar(
                out / shard, ((path.removeprefix(f"{shard}/"), _content(path, files, pictures)) for path in names)
            )
        progress.advance(sum(path in pictures for path in names))


def _content(path: str, files: Mapping[str, str], pictures: Mapping[str, Path]) -> bytes | Path:
    return pictures[path] if path in pictures else files[path].encode()


def _shard(path: str) -> str:
    """The tar file that a path lies in, "" where it lies in none."""
    first, _, rest = path.partition("/")
    return first if rest and first.endswith(".tar") else ""


def _warnings(layout: Layout, dataset: Dataset) -> list[str]:
    warnings = []
    crowds = sum(entry.iscrowd for split in dataset.splits.values() for entry in split.annotations)
    if crowds and not layout.knows_crowds:
        warnings.append(f"{crowds} crowd regions are left out: {layout.name} has no way to mark them")
    if len(dataset.splits) == 1 and layout.wants_validation:
        only = next(iter(dataset.splits))
        warnings.append(f"{only} is the only split: a {layout.name} trainer needs another to validate on")
    return warnings


def _first(paths: Iterable[str], ending: str) -> str:
    return next((path for path in sorted(paths) if path.endswith(ending)), ending)


def _coco_files(dataset: Dataset) -> dict[str, str]:
    return {
        f"annotations/instances_{split}.json": json.dumps(coco.encode(dataset, split), sort_keys=True, allow_nan=False)
        for split in dataset.splits
    }


FORMATS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("coco", _coco_files, yolo.picture_paths, ".json", knows_crowds=True),
        Layout("yolo", yolo.encode, yolo.picture_paths, "data.yaml", knows_crowds=False, wants_validation=True),
        Layout(
            "yolo-seg",
            partial(yolo.encode, outlines=True),
            yolo.picture_paths,
            "data.yaml",
            knows_crowds=False,
            wants_validation=True,
        ),
        Layout("voc", voc.encode, voc.picture_paths, "labels.txt", knows_crowds=True),
        Layout(
            "coco-roboflow",
            coco_roboflow.encode,
            coco_roboflow.picture_paths,
            coco_roboflow.ANNOTATION_FILE,
            knows_crowds=True,
            wants_validation=True,
        ),
        Layout(
            "hf-imagefolder",
            hf_imagefolder.encode,
            hf_imagefolder.picture_paths,
            hf_imagefolder.METADATA_FILE,
            knows_crowds=False,
        ),
        sharded(webdataset.SHARD_SIZE),
    )
}
"""The layouts by their names on the command line."""
