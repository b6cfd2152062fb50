"""The segmenter in training: learns to find the items of synthetic pictures, and is asked about translated ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from garbage_synth.config.gan import LabelConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.segmenter import (
    JITTER_NUMBERS,
    Segmenter,
    init_segmenter,
    jitter_colours,
    overlap,
    segmentation_loss,
)

__all__ = ["ItemFinder", "items_of"]

_OVERLAP_STEP = 0.02
_ADAM_BETAS = (0.9, 0.999)


def items_of(classes: Tensor) -> Tensor:
    """Class maps with all classes as one, in the same shape: 0 = belt, 1 = item."""
    return classes.clamp(max=1)


class ItemFinder:
    """A segmenter that tells items from belt, its optimiser, and how well it does.

    Items of all classes are one to it: telling them apart takes it many times as long, and wrong verdicts would mislead
    the generator.
    """

    def __init__(self, config: LabelConfig, placement: Placement, *, seed: int) -> None:
        self._placement, self._seed = placement, seed
        self._min_dice = config.segmenter_min_dice
        self.network = Segmenter(1, config.segmenter_channels)
        rng = rng_for(seed, "train-gan.segmenter", "", 0)
        init_segmenter(self.network, torch.Generator().manual_seed(int(rng.integers(2**63))))
        placement.settle(self.network)
        self._adam = placement.adam(self.network.parameters(), config.segmenter_learning_rate, _ADAM_BETAS)
        self._overlap = torch.zeros(2, device=placement.device)  # averaged over about 50 steps
        placement.compile(self.network)
        self._update = placement.accelerated(self._learn)

    def trust(self) -> Tensor:
        """1 where the Dice of the last steps is good enough for a verdict on translated pictures, else 0; a scalar."""
        return (self._dice() > self._min_dice).float()

    def step(self, synthetic: Tensor, classes: Tensor, *, index: int) -> dict[str, Tensor]:
        """Learn from synthetic crops, float (b, 3, s, s) in [-1, 1], in other colours; its loss and Dice by name.

        classes: uint8 (b, s, s). The Dice is of the crops as they are, before the step, averaged over steps.
        """
        rng = rng_for(self._seed, "train-gan.jitter", "", self._placement.turn(index))
        numbers = torch.from_numpy(rng.random((len(synthetic), JITTER_NUMBERS), dtype=np.float32))
        return self._update(synthetic, items_of(classes), numbers.to(self._placement.device, non_blocking=True))

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, for `restore`."""
        return {
            "adam": self._adam.state_dict(),
            "network": self.network.state_dict(),
            "overlap": self._overlap.cpu(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a `state`."""
        self.network.load_state_dict(state["network"])
        self._placement.restore_adam(self._adam, state["adam"])
        self._overlap.copy_(state["overlap"])

    def _learn(self, synthetic: Tensor, items: Tensor, jitter: Tensor) -> dict[str, Tensor]:
        self.network.requires_grad_(True)
        with torch.no_grad(), self._placement.autocast():
            now = overlap(self.network(synthetic), items)
        with self._placement.autocast():  # another one: weights that were cast without gradients must not be used again
            loss = segmentation_loss(self.network(jitter_colours(synthetic, jitter)), items)
        self._placement.descend(self._adam, loss)
        self._placement.team.average([now])
        self._overlap.lerp_(now, _OVERLAP_STEP)
        return {"segmenter": loss.detach(), "segmenter_dice": self._dice()}

    def _dice(self) -> Tensor:
        met, both = self._overlap.unbind()
        return met / both.clamp_min(1e-6)
