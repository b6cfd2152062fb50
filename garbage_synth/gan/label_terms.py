"""What the settings under `labels` add to the loss of the generator that makes synthetic pictures look real."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from garbage_synth.config.gan import LabelConfig
from garbage_synth.gan.item_finder import items_of
from garbage_synth.gan.label_losses import (
    cycle_weight,
    flip_loss,
    new_edge_loss,
    regions_of,
    structure_loss,
)
from garbage_synth.gan.segmenter import segmentation_loss
from garbage_synth.gan.warp import warp

__all__ = ["LabelTerms", "WeightedTerm"]

WeightedTerm = tuple[float | Tensor, Tensor]
"""A weight and the scalar it weighs."""


@dataclass(frozen=True, slots=True)
class LabelTerms:
    """The terms of one step. classes: uint8 (b, h, w) of the synthetic crops, 0 = belt; None without labels.

    segmenter: a network that finds items in pictures, None = none is asked; trust: scalar, 1 once it may be believed
    and 0 before. flip: whether this step has the term of mirrored pictures.
    """

    config: LabelConfig
    classes: Tensor | None
    segmenter: nn.Module | None = None
    trust: Tensor | None = None
    flip: bool = False

    def cycle_weight(self) -> Tensor | None:
        """What each pixel counts in the cycle loss of synthetic pictures, (b, 1, h, w); None = all the same."""
        config = self.config
        if self.classes is None or not (config.cycle_item or config.cycle_edge):
            return None
        regions = regions_of(self.classes, edge_px=config.edge_px, ring_px=config.ring_px)
        return cycle_weight(regions, config.cycle_item, config.cycle_edge)

    def terms(
        self, network: Callable[[Tensor], Tensor], original: Tensor, translated: Tensor, displacement: Tensor | None
    ) -> dict[str, WeightedTerm]:
        """The terms by name, of the pictures (b, 3, h, w) before and after `network`.

        Where the network tells its displacement (b, 2, h, w), items may move by it: labels will follow.
        """
        config = self.config
        terms: dict[str, WeightedTerm] = {}
        if self.flip:
            terms["flip"] = config.flip, flip_loss(network, original, translated)
        if self.classes is None:
            return terms
        classes, moved = self.classes, original
        if displacement is not None:
            with torch.no_grad():
                classes = _moved_classes(classes, displacement)
                moved = warp(original, displacement)
        regions = regions_of(classes, edge_px=config.edge_px, ring_px=config.ring_px)
        if config.structure:
            terms["structure"] = config.structure, structure_loss(translated, moved, regions)
        if config.new_edges:
            terms["new_edges"] = config.new_edges, new_edge_loss(translated, moved, regions, config.new_edge_tau)
        if self.segmenter is not None and self.trust is not None:
            found = self.segmenter(translated)
            terms["semantic"] = config.segmenter * self.trust, segmentation_loss(found, items_of(classes))
        return terms


def _moved_classes(classes: Tensor, displacement: Tensor) -> Tensor:
    """Class maps (b, h, w) after the displacement, from the nearest pixel."""
    return warp(classes.unsqueeze(1).float(), displacement.round()).squeeze(1).to(classes.dtype)
