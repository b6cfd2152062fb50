"""Which files a folder holds, always in the same order."""

import os
from pathlib import Path

from garbage_synth.errors import InputError

__all__ = ["files_under", "require_folder"]


def require_folder(folder: Path, what: str = "folder") -> Path:
    """`folder` itself where it is a readable folder.

    Raises InputError naming it (and `what` it should have been) where it is missing, a file or unreadable.
    """
    if not folder.exists():
        raise InputError(f"{what} {folder} does not exist")
    if not folder.is_dir():
        raise InputError(f"{what} {folder} is a file, a folder was expected")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"{what} {folder} cannot be read: permission denied")
    return folder


def files_under(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Every visible file below `folder`, sorted by POSIX path relative to it.

    Names that begin with a dot are left out (editors, macOS and our own temporary files). Links are followed,
    a folder reached twice is walked once.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted((path for path in found if path.is_file()), key=lambda path: path.relative_to(folder).as_posix())
