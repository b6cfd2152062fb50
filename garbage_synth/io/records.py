"""Files of one JSON object per line that grow while a stage runs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from garbage_synth.io.atomic import write_text

__all__ = ["STATS_FILE", "append_record", "keep_records", "read_records"]

STATS_FILE = "stats.jsonl"
"""Of a training: its losses and rates over time."""


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line, at once readable by others. Raises ValueError for numbers that are not finite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(dict(record), sort_keys=True, allow_nan=False) + "\n")


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file in order, none where it does not exist; a line cut short by a kill is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    records: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def keep_records(path: Path, *, key: str, up_to: int) -> None:
    """Rewrite the file with the records whose `key` is at most `up_to`; a resumed run goes on from there."""
    kept = [record for record in read_records(path) if record.get(key, up_to + 1) <= up_to]
    if path.exists():
        write_text(path, "".join(json.dumps(record, sort_keys=True) + "\n" for record in kept))
