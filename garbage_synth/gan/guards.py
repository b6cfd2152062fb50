"""Refusal to train on where nothing good can come of it."""

from collections.abc import Mapping

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.progress import Progress
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.training_plan import Recorder

__all__ = ["InversionGuard", "SegmenterNews"]

_PATIENCE = 2
_DIRECTIONS = {
    "correlation_real": "synthetic-to-real",
    "correlation_synthetic": "real-to-synthetic",
}


class InversionGuard:
    """Watches the correlation between pictures and their translations, which falls below 0 where light and dark, or
    colours, change places: a state that the losses alone do not leave, as the way back is inverted too."""

    def __init__(self, config: GanConfig) -> None:
        self._config = config
        self._windows = dict.fromkeys(_DIRECTIONS, 0)

    def look(self, step: int, means: Mapping[str, float]) -> None:
        """means: of the losses over a window that ends after `step` steps.

        Raises GarbageSynthError for the second window in a row below the bound, after the first steps.
        """
        bound = self._config.abort_below_correlation
        if bound is None or step < self._config.abort_after_steps:
            return
        for name, direction in _DIRECTIONS.items():
            self._windows[name] = self._windows[name] + 1 if means[name] < bound else 0
            if self._windows[name] >= _PATIENCE:
                raise GarbageSynthError(
                    f"training turned its pictures inside out at step {step:,}: {direction} gives a correlation of "
                    f"{means[name]:.2f} with its input, below {bound:g}; begin again with another --seed, a larger "
                    "identity_ratio (--set identity_ratio=1) or --generator warp, which begins as the identity, or go "
                    "on from the last checkpoint all the same by --resume --set abort_below_correlation=null"
                )

    def state(self) -> dict[str, int]:
        """For `restore`: windows in a row below the bound."""
        return dict(self._windows)

    def restore(self, state: Mapping[str, int]) -> None:
        """Take up a `state`."""
        self._windows |= state


class SegmenterNews:
    """Tells when the segmenter finds items well enough for its verdict on translations to count, or that it never did.

    min_dice: from which it does.
    """

    def __init__(self, min_dice: float, progress: Progress) -> None:
        self._min_dice, self._progress = min_dice, progress
        self._best: float | None = None

    def look(self, step: int, means: Mapping[str, float]) -> None:
        """means: of the losses over a window that ends after `step` steps."""
        dice = means.get("segmenter_dice")
        if dice is None:
            return
        if dice > self._min_dice and (self._best is None or self._best <= self._min_dice):
            self._progress.message(
                f"after {step:,} steps: the segmenter finds items in composites (Dice {dice:.2f}); "
                "from here on it watches over them in translations"
            )
        self._best = max(dice, self._best or 0.0)

    def end(self, recorder: Recorder) -> None:
        """The training is over."""
        if self._best is not None and self._best <= self._min_dice:
            recorder.warn(
                f"the segmenter came to a Dice of {self._best:.2f} on composites, so its verdict never counted; train "
                "longer, or give --set labels.segmenter_min_dice less"
            )
