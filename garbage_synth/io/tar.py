"""Tar files whose bytes depend on their members alone: no dates, no owners."""

import io
import os
import secrets
import tarfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["write_tar"]


def write_tar(path: Path, members: Iterable[tuple[str, bytes | Path]]) -> None:
    """Put a tar file of (name, content or the file that holds it) at `path`, in the order given, whole or not at all.

    Files are streamed, so that memory does not grow with their number. Raises OSError where one cannot be read or the
    place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in members:
                member = tarfile.TarInfo(name)  # date 0, owner 0, mode 644
                with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as stream:
                    member.size = stream.seek(0, os.SEEK_END)
                    stream.seek(0)
                    archive.addfile(member, stream)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
