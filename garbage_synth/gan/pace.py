"""Numbers of a training while it runs: means of its losses, how fast it is, how long it will take."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from garbage_synth.compute.device import describe
from garbage_synth.core.progress import Progress
from garbage_synth.gan.team import Team
from garbage_synth.gan.training_plan import Recorder, TrainingPlan

__all__ = ["Pace", "Window", "duration"]

_WARM_UP_STEPS = 2
_TIMED_STEPS = 3
_LONG_HOURS = 24.0


class Window:
    """Sums of the losses since the last line of numbers, kept on the device."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._latest: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()  # a term need not come in every step

    def add(self, losses: dict[str, Tensor]) -> None:
        """One step's."""
        self._latest = losses
        self._sums |= {name: self._sums[name] + loss if name in self._sums else loss for name, loss in losses.items()}
        self._counts.update(losses.keys())

    def latest(self) -> dict[str, float]:
        """The last step's, of this process."""
        return _to_numbers(self._latest)

    def means(self, team: Team) -> dict[str, float]:
        """The means, over the team too."""
        return {name: total / self._counts[name] for name, total in _to_numbers(self._averaged(team)).items()}

    def clear(self) -> None:
        """A new window begins."""
        self._sums, self._counts = {}, Counter()

    def state(self, team: Team) -> dict[str, Any]:
        """For `restore`; in a team all must call it."""
        sums = {name: total.cpu() for name, total in self._averaged(team).items()}
        return {"counts": dict(self._counts), "sums": sums}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up a `state`."""
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._counts = Counter(state["counts"])

    def _averaged(self, team: Team) -> dict[str, Tensor]:
        sums = {name: total.clone() for name, total in self._sums.items()}
        team.average(list(sums.values()))
        return sums


class Pace:
    """Measures the first steps after warming up and tells how long the rest will take."""

    def __init__(self, plan: TrainingPlan, first: int, recorder: Recorder, progress: Progress) -> None:
        self._plan, self._first, self._recorder, self._progress = plan, first, recorder, progress
        todo = plan.length.stop_step - first
        # whole periods of the term that does not come in every step, after every kind of step has been recorded
        period = plan.config.labels.flip_every_steps
        warm_up = 4 * period + 2 if plan.placement.graphed else _WARM_UP_STEPS
        self._begin = first + min(warm_up, max(0, todo - 1))
        self._end = min(self._begin + max(_TIMED_STEPS, period), plan.length.stop_step)
        self._logged_at, self._logged_step = time.perf_counter(), first
        self._began_at = self._logged_at
        self.seconds_per_step: float | None = None

    def tick(self, done: int) -> None:
        """After `done` steps."""
        if done == self._begin:
            self._began_at = self._now()
        if done == self._end:
            self.seconds_per_step = (self._now() - self._began_at) / (self._end - self._begin)
            self._announce(done)

    def pairs_per_s(self, done: int) -> float:
        """Pairs per second since the last call."""
        now = time.perf_counter()
        pairs = self._plan.batch * self._plan.placement.team.size * (done - self._logged_step)
        pace = pairs / max(now - self._logged_at, 1e-9)
        self._logged_at, self._logged_step = now, done
        return round(pace, 4)

    def _now(self) -> float:
        if self._plan.placement.device.type == "cuda":
            torch.cuda.synchronize(self._plan.placement.device)
        return time.perf_counter()

    def _announce(self, done: int) -> None:
        plan, pace = self._plan, self.seconds_per_step or 0.0
        left = plan.length.stop_step - done
        text = (
            f"{describe(plan.placement.device, plan.placement.precision)}: {pace:.3g} s per step of {plan.batch} "
            f"at {plan.crop_px}x{plan.crop_px}, {_peak_memory(plan.placement.device)}; "
            f"the {left:,} steps left of this call take about {duration(pace * left)}"
        )
        if plan.length.stop_step < plan.length.total_steps:
            text += f", all {plan.length.total_steps:,} about {duration(pace * plan.length.total_steps)}"
        self._progress.message(text)
        if pace * left > 3600 * _LONG_HOURS:
            self._recorder.warn(
                f"this training takes about {duration(pace * left)}; fewer --steps, a smaller --crop, "
                "--generator resnet6 or a CUDA device shorten it, --stop-after and --resume divide it"
            )


def _peak_memory(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_reserved(device) / 2**30:.2g} GB of GPU memory"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2g} GB of memory"


def duration(seconds: float) -> str:
    """Seconds in a unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _to_numbers(values: dict[str, Tensor]) -> dict[str, float]:
    """The scalars in one transfer from the device."""
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
