"""`export`: a dataset in the layout that a trainer expects, pictures copied or linked byte for byte."""

from pathlib import Path

from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.errors import InputError
from garbage_synth.formats import coco
from garbage_synth.formats.webdataset import SHARD_SIZE
from garbage_synth.io.dataset import read_dataset
from garbage_synth.io.output import fingerprint
from garbage_synth.io.pictures import locate_pictures
from garbage_synth.stages.layout import FORMATS, Target, counts, sharded, write_dataset

__all__ = ["FORMATS", "export"]


def export(
    dataset: Path,
    out: Path,
    *,
    format: str,
    shard_size: int | None = None,
    images: str = "copy",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Writes a dataset (a tree, or one COCO file beside its pictures) to `out` in another layout.

    format: one of `FORMATS`; yolo-seg is yolo with outlines instead of boxes. Category ids become 1..N in the order
    of the old ones (0..N-1 where the format counts so), annotation ids 1..M. shard_size: images in a tar file of
    webdataset, 1000 by default. images: "copy" or "hardlink". The source is only read.
    Raises InputError for an unknown format, a dataset that cannot be read, a picture that is missing, no picture, cut
    short or of another size than its entry says, and hard links that the file system does not allow.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r}; expected one of {', '.join(FORMATS)}")
    layout = FORMATS[format]
    settings: dict[str, int] = {}
    if layout.packed:
        settings["shard_size"] = SHARD_SIZE if shard_size is None else shard_size
        layout = sharded(settings["shard_size"])
    elif shard_size is not None:
        raise InputError(f"--shard-size is for webdataset; {format} has no shards")
    loaded = coco.renumbered(read_dataset(dataset))
    pictures = locate_pictures(dataset, loaded)
    inputs = [dataset]
    if dataset.is_file():
        inputs += sorted(set(pictures.values()))
    return write_dataset(
        Target(out, images, overwrite, resume, dry_run, progress),
        layout,
        loaded,
        pictures,
        stage="export",
        identity={"format": format, "dataset": fingerprint(inputs), **settings},
        inputs=inputs,
        numbers={"format": format, **counts(loaded)},
    )
