"""Large files written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the place of `path` when the block ends well, synced to disk first.

    Killed at any moment, this leaves the old file or the new one. Temporary files of a killed run are removed.
    """
    prefix = f".{path.name}."
    for left_over in path.parent.glob(f"{prefix}*.tmp"):
        left_over.unlink(missing_ok=True)
    temporary = path.with_name(f"{prefix}{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
