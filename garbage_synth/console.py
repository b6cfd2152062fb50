"""What a person sees: a bar on a terminal, plain lines in a log, a summary at the end."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.report.ladder_table import ladder_table

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["PlainProgress", "RichProgress", "listening", "summary_as_json", "summary_as_text"]

_QUIET_S = 10.0


class _Listener(Progress, Protocol):
    seen: list[str]


class PlainProgress:
    """Progress as lines: one at the start of a step, then at every tenth of it but no more than each ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self.seen: list[str] = []
        self._stream = stream
        self._label, self._total, self._done, self._said_at = "", None, 0, time.monotonic()

    _total: int | None

    def start(self, label: str, total: int | None) -> None:
        """A new step begins."""
        self._label, self._total, self._done, self._said_at = label, total, 0, time.monotonic()
        self._say(label if total is None else f"{label}: {total}")

    def advance(self, units: int = 1) -> None:
        """`units` more are done."""
        tenth = 0 if not self._total else self._done * 10 // self._total
        self._done += units
        crossed = self._total is None or self._done * 10 // max(1, self._total) > tenth
        if crossed and time.monotonic() - self._said_at >= _QUIET_S:
            self._said_at = time.monotonic()
            self._say(f"{self._label}: {self._done}" + (f" of {self._total}" if self._total else ""))

    def message(self, text: str) -> None:
        """One line worth reading."""
        self.seen.append(text)
        self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class RichProgress:
    """Progress as a bar with the time left, for a terminal."""

    def __init__(self, bars: "Bars") -> None:
        self.seen: list[str] = []
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, label: str, total: int | None) -> None:
        """A new step begins; the bar of the one before stays as it is."""
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(label, total=total)

    def advance(self, units: int = 1) -> None:
        """`units` more are done."""
        if self._task is not None:
            self._bars.advance(self._task, units)

    def message(self, text: str) -> None:
        """One line worth reading, above the bar."""
        self.seen.append(text)
        self._bars.console.print(text, markup=False, highlight=False)


@contextmanager
def listening(stream: TextIO | None = None) -> Iterator[_Listener]:
    """A listener on stderr (or `stream`): a bar where that is a terminal, lines otherwise."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield PlainProgress(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(file=stream)) as bars:
        yield RichProgress(bars)


def summary_as_json(summary: StageSummary) -> str:
    """The summary on one line of JSON, keys sorted, paths as given."""
    document = {
        "numbers": _plain(summary.numbers),
        "ok": summary.ok,
        "open_file": _plain(summary.open_file),
        "out": _plain(summary.out),
        "stage": summary.stage,
        "warnings": list(summary.warnings),
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def summary_as_text(summary: StageSummary, *, dry_run: bool = False) -> str:
    """The summary for a person: what was made where, its numbers, and which file to open; dry_run: nothing was made."""
    outcome = "failed" if not summary.ok else "nothing was written" if dry_run else "done"
    lines = [f"{summary.stage}: {outcome}" + (f", in {summary.out}" if summary.out else "")]
    numbers = _plain(summary.numbers)
    if summary.stage in ("ladder", "run") and "stages" in numbers:
        lines += _stage_lines(numbers["stages"])
    elif summary.stage == "ladder":
        lines += ladder_table(numbers).splitlines()
    else:
        lines += _number_lines(numbers, "  ")
    if summary.open_file is not None:
        lines.append(f"open {summary.open_file}")
    return "\n".join(lines)


def _stage_lines(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Two lines for each stage of a pipeline: what it made where, and its first few numbers."""
    lines: list[str] = []
    for name, numbers in stages.items():
        rest = dict(numbers)
        stage, out, note = rest.pop("stage"), rest.pop("out", None), rest.pop("note", None)
        unchanged, seconds, then = rest.pop("unchanged", False), rest.pop("seconds", None), rest.pop("then", None)
        how = then or ("unchanged" if unchanged else f"{seconds:.0f} s")
        lines.append(f"  {name}: {stage}" + (f" -> {out}" if out else "") + f" ({how})")
        facts = [
            f"{key.replace('_', ' ')} {_short(value)}"
            for key, value in rest.items()
            if not isinstance(value, list)
            and not (isinstance(value, dict) and (len(value) > 3 or any(isinstance(x, dict) for x in value.values())))
        ]
        lines += [f"    {'; '.join(facts[:4])}"] if facts else []
        lines += [f"    {note}"] if note else []
    return lines


def _number_lines(numbers: Mapping[str, Any], indent: str) -> list[str]:
    """One line a number; a mapping of numbers takes one line, a mapping of mappings is indented."""
    lines: list[str] = []
    for key, value in numbers.items():
        name = str(key).replace("_", " ")
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            lines += [f"{indent}{name}", *_number_lines(value, indent + "  ")]
        elif isinstance(value, dict):
            inside = ", ".join(f"{inner} {_short(number)}" for inner, number in value.items())
            lines.append(f"{indent}{name}: {inside or 'none'}")
        elif isinstance(value, list) and value and any(isinstance(inner, str | dict | list) for inner in value):
            lines += [f"{indent}{name}:", *(f"{indent}  {_short(inner)}" for inner in value)]
        else:
            lines.append(f"{indent}{name}: {_short(value)}")
    return lines


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_short(inner) for inner in value) or "none"
    return "none" if value is None else str(value)


def _plain(value: Any) -> Any:
    """The value in plain JSON types: paths as strings, tuples as lists, other number types as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value
