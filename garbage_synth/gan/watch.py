"""Looks at a training now and then, and remembers which generators were the best."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.progress import Progress
from garbage_synth.gan.best import Evaluation, is_better, verdict
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.evaluation import Evaluator

__all__ = ["Watch"]


class Watch:
    """When to look, what was seen last, and the best so far; None where nothing was seen.

    make_evaluator: called at the first look. total_steps: of the whole training.
    """

    def __init__(
        self, config: GanConfig, make_evaluator: Callable[[], Evaluator], *, total_steps: int, progress: Progress
    ) -> None:
        self._config = config
        self._make_evaluator = make_evaluator
        self._evaluator: Evaluator | None = None
        self._total_steps = total_steps
        self._progress = progress
        self.best: Evaluation | None = None
        self.last: Evaluation | None = None

    def due(self, step: int) -> bool:
        """Whether to look after `step` steps: a function of the step alone, wherever a call of the training ends."""
        every = self._config.evaluate_every_steps
        return every > 0 and (step % every == 0 or step == self._total_steps)

    def look(self, gan: CycleGan, step: int) -> tuple[Evaluation, bool]:
        """What the generators are worth after `step` steps, and whether they are the best so far; says so."""
        began = time.perf_counter()
        self._evaluator = self._evaluator or self._make_evaluator()
        self.last = Evaluation(step, self._evaluator(gan))
        line = verdict(self.last, self.best, min_hold=self._config.best_min_hold)
        self._progress.message(f"{line} ({time.perf_counter() - began:.1f} s to look)")
        improved = is_better(self.last, self.best, min_hold=self._config.best_min_hold)
        if improved:
            self.best = self.last
        return self.last, improved

    def state(self) -> dict[str, Any]:
        """For `restore`."""
        return {
            name: seen and (seen.step, dict(seen.values)) for name, seen in (("best", self.best), ("last", self.last))
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a `state`."""
        self.best = state["best"] and Evaluation(*state["best"])
        self.last = state["last"] and Evaluation(*state["last"])
