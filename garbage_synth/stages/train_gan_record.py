"""What a training leaves behind of its course: lines of numbers and sample pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.progress import Progress
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.images import encode_png
from garbage_synth.io.records import append_record, keep_records

__all__ = ["STATS_FILE", "RunRecorder", "newest_sample"]

STATS_FILE = "stats.jsonl"


class RunRecorder:
    """Writes numbers and samples into the run folder, hands warnings on and remembers them.

    out: None for a process of a team that does not lead; what it has to tell, the leader tells.
    """

    def __init__(self, out: Path | None, progress: Progress) -> None:
        self._out = out
        self._progress = progress
        self.warnings: list[str] = []

    def resumed(self, step: int) -> None:
        """Remove what is recorded of later steps."""
        if self._out is None:
            return
        keep_records(self._out / STATS_FILE, key="step", up_to=step)
        for path in (self._out / "samples").glob("step_*.png"):
            if path.stem > _sample_stem(step):
                path.unlink()

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """One line of numbers."""
        if self._out is not None:
            append_record(self._out / STATS_FILE, {"step": step, **values})

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """One line of numbers under the key "evaluation"."""
        if self._out is not None:
            append_record(self._out / STATS_FILE, {"step": step, "evaluation": dict(values)})

    def samples(self, step: int, grid_rgb: NDArray[np.uint8]) -> None:
        """One picture in samples/."""
        if self._out is not None:
            write_bytes(self._out / "samples" / f"{_sample_stem(step)}.png", encode_png(grid_rgb))

    def warn(self, text: str) -> None:
        """Say it now, and again in the summary."""
        self.warnings.append(text)
        self._progress.message(f"warning: {text}")


def newest_sample(out: Path) -> Path | None:
    """The last sample picture of a run folder, None where there is none."""
    return max((out / "samples").glob("step_*.png"), default=None)


def _sample_stem(step: int) -> str:
    return f"step_{step:09d}"
