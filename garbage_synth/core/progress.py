"""How a stage tells its caller what it did and how far it is, without knowing who listens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["NullProgress", "Progress", "StageSummary"]


class Progress(Protocol):
    """Listener of one stage: a bar on a terminal, plain lines in a log, nothing in a test."""

    def start(self, label: str, total: int | None) -> None:
        """A new step begins; total is its number of units, None where unknown."""

    def advance(self, units: int = 1) -> None:
        """`units` more are done."""

    def message(self, text: str) -> None:
        """One line worth reading: a notice or a warning."""


class NullProgress:
    """Listens to nothing."""

    def start(self, label: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, units: int = 1) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class StageSummary:
    """What a stage made. numbers: JSON-ready counts and rates; open_file: what a person should look at first."""

    stage: str
    out: Path | None
    numbers: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())
    open_file: Path | None = None
    ok: bool = True
