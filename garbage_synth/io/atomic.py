"""Writing files whole or not at all: to a temporary name beside the target, then renamed."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

__all__ = ["write_bytes", "write_json", "write_text"]


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, making parent folders; an interruption leaves the old file or none, never a part.

    Raises OSError where the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Put `text` at `path` as UTF-8 with the newlines it has, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, obj: Any, *, compact: bool = False) -> None:
    """Put `obj` at `path` as JSON with sorted keys; compact is one line without blanks, for large files.

    Raises ValueError where a number is not finite and TypeError where a value is not plain JSON.
    """
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    write_text(path, json.dumps(obj, sort_keys=True, allow_nan=False, ensure_ascii=False, **layout) + "\n")
