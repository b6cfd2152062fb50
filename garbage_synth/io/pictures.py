"""The picture files of a dataset: found and looked at, then copied or hard-linked as they are, never encoded anew."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.dataset import split_files
from garbage_synth.io.images import image_size, require_whole

__all__ = ["PLACEMENTS", "locate_pictures", "place_picture", "require_placement"]

PLACEMENTS = ("copy", "hardlink")
"""How pictures come into an output: a copy, or another name of the same bytes on disk."""


def locate_pictures(root: Path, dataset: Dataset) -> dict[tuple[str, int], Path]:
    """(split, image id) -> file of every picture of the dataset that was read from `root`.

    Raises InputError where one is missing, no picture, cut short, of another size than its entry says, or listed twice.
    """
    folders = split_files(root)
    pictures: dict[tuple[str, int], Path] = {}
    for name, split in dataset.splits.items():
        seen: set[str] = set()
        for record in split.images:
            where = f"{folders[name].annotations}: image {record.id}"
            source = folders[name].locate(record.file_name)
            if not source.is_file():
                raise InputError(f"{where}: {source} does not exist")
            width, height = image_size(source)
            if (width, height) != (record.width, record.height):
                raise InputError(
                    f"{where}: {source} is {width}x{height} (EXIF turned), not {record.width}x{record.height}, so that "
                    "its boxes cannot be trusted; see what validate says"
                )
            require_whole(source)
            if record.file_name in seen:
                raise InputError(f"{where}: file_name {record.file_name!r} is listed twice")
            seen.add(record.file_name)
            pictures[name, record.id] = source
    return pictures


def require_placement(placement: str, out: Path, sources: Iterable[Path]) -> None:
    """Raises InputError for an unknown placement, and for hard links to a file on another file system than `out`."""
    if placement not in PLACEMENTS:
        raise InputError(f"unknown images {placement!r}; expected one of {', '.join(PLACEMENTS)}")
    if placement == "hardlink":
        nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
        device = nearest.stat().st_dev
        for source in sources:
            if source.stat().st_dev != device:
                raise _not_linkable(source, out, "another file system")


def place_picture(source: Path, target: Path, placement: str) -> None:
    """Put the picture at `target`, which is not there yet, whole or not at all; placement is one of `PLACEMENTS`.

    Raises InputError where the file systems do not allow a hard link, OSError where the place cannot be written.
    """
    if placement == "copy":
        write_bytes(target, source.read_bytes())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise _not_linkable(source, target, error.strerror or "refused") from error
        raise


def _not_linkable(source: Path, target: Path, why: str) -> InputError:
    return InputError(
        f"{source} cannot be hard-linked into {target} ({why}); give --images copy, or an --out on its file system"
    )
