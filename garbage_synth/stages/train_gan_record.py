"""What a training leaves behind of its course: lines of numbers, curves, sample pictures, TensorBoard events."""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.progress import Progress
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.images import encode_png
from garbage_synth.io.records import STATS_FILE, append_record, keep_records, read_records
from garbage_synth.stages.train_gan_curves import draw_curves

__all__ = ["Board", "RunRecorder", "finite", "newest_sample", "require_tensorboard"]

CURVES_FILE = "curves.png"


class Board:
    """Writes TensorBoard events into the folder `tensorboard` of a run that goes on after `first` steps.

    Events of later steps, of a run that was interrupted, become void. Raises InputError without TensorBoard.
    """

    def __init__(self, out: Path, *, first: int) -> None:
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(out / "tensorboard"), purge_step=first + 1 if first else None)

    def scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """One scalar "group/name" for each value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def picture(self, step: int, grid_rgb: NDArray[np.uint8]) -> None:
        """The samples; what was told before is now on disk."""
        self._writer.add_image("samples", grid_rgb, step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Nothing more will be told."""
        self._writer.close()


def require_tensorboard() -> None:
    """Raises InputError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "tensorboard=true needs TensorBoard, which is not installed: pip install 'garbage-synth[tensorboard]', "
            "or leave it out, as stats.jsonl and curves.png hold the same numbers"
        )


class RunRecorder:
    """Writes numbers and samples into the run folder, hands warnings on and remembers them.

    out: None for a process of a team that does not lead; what it has to tell, the leader tells. board: where numbers
    and samples go besides.
    """

    board: Board | None = None

    def __init__(self, out: Path | None, progress: Progress) -> None:
        self._out = out
        self._progress = progress
        self._left_out: set[str] = set()
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
        if self.board:
            self.board.scalars("training", step, values)

    def evaluation(self, step: int, values: Mapping[str, float], best: bool) -> None:
        """One line of numbers under the key "evaluation", without those that are not finite, which are named once."""
        known = finite(values)
        unknown = values.keys() - known.keys() - self._left_out
        if unknown:
            self._left_out |= unknown
            self.warn(
                f"{', '.join(sorted(unknown))} is not finite after {step:,} steps, and is left out of {STATS_FILE} "
                "whenever it is not; all else goes on"
            )
        if self._out is not None:
            append_record(self._out / STATS_FILE, {"step": step, "evaluation": known, "best": best})
        if self.board:
            self.board.scalars("evaluation", step, known)

    def samples(self, step: int, grid_rgb: NDArray[np.uint8]) -> None:
        """One picture in samples/, and all curves so far in one picture."""
        if self._out is not None:
            write_bytes(self._out / "samples" / f"{_sample_stem(step)}.png", encode_png(grid_rgb))
            write_bytes(self._out / CURVES_FILE, encode_png(draw_curves(read_records(self._out / STATS_FILE))))
        if self.board:
            self.board.picture(step, grid_rgb)

    def warn(self, text: str) -> None:
        """Say it now, and again in the summary."""
        self.warnings.append(text)
        self._progress.message(f"warning: {text}")


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers that a record can hold: neither infinite nor "not a number"."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def newest_sample(out: Path) -> Path | None:
    """The last sample picture of a run folder, None where there is none."""
    return max((out / "samples").glob("step_*.png"), default=None)


def _sample_stem(step: int) -> str:
    return f"step_{step:09d}"
