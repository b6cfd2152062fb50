"""What a training is told, and whom it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.gan import GanConfig
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.schedule import Length

__all__ = ["Recorder", "TrainingPlan"]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One training. crop_px: side of the crops; batch: pairs per step and process of the team; resize_short_px: noted
    in the generators."""

    spec: GeneratorSpec
    config: GanConfig
    length: Length
    placement: Placement
    crop_px: int
    batch: int
    resize_short_px: int | None
    seed: int


class Recorder(Protocol):
    """Keeps what a training tells while it runs."""

    def resumed(self, step: int) -> None:
        """The training goes on after `step` steps: what was recorded of later ones is void."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Means over the last steps, the learning rate and the pace, after `step` steps."""

    def samples(self, step: int, grid_rgb: NDArray[np.uint8]) -> None:
        """A picture (h, w, 3) whose columns are x, G(x), F(G(x)), y, F(y), G(F(y)), after `step` steps."""

    def evaluation(self, step: int, values: Mapping[str, float], best: bool) -> None:
        """What the generators are worth after `step` steps, see `Evaluator`. best: the best so far."""

    def warn(self, text: str) -> None:
        """Something the user should know and may want to change."""
