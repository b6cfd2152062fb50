"""What a training is judged by while it runs: fixed pictures, translated by its generators as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from garbage_synth.core.rng import rng_for
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.data import Cut, Domain
from garbage_synth.gan.distances import FixedExtractor, kid, lab_distance, sliced_wasserstein
from garbage_synth.gan.inception import InceptionDistances
from garbage_synth.gan.networks import Generator
from garbage_synth.gan.pixels import to_levels, to_signed
from garbage_synth.gan.placement import Placement

__all__ = ["KID", "SWD", "Evaluator", "LabelWitness", "fixed_crops"]

KID = f"kid@{FixedExtractor().hash}"
"""The name of the kernel distance between translated and real crops."""

SWD = "swd"
"""The name of the sliced Wasserstein distance, by which the best generator is chosen.

Not by KID: on the random network it called crops whose items had fallen to pieces nearer to the real ones than the
composites are, as their mean colour was (0.07 against 0.33 on the sample line); SWD, which looks at patches on several
scales, called them farther (140 against 65)."""


class LabelWitness(Protocol):
    """Labelled pictures, and how many of their labels hold after a generator rewrote them."""

    @property
    def pictures(self) -> Sequence[NDArray[np.uint8]]:
        """RGB uint8 (h, w, 3), sides that a generator takes."""

    def held(
        self, index: int, after_rgb: NDArray[np.uint8], displacement: NDArray[np.float32] | None
    ) -> tuple[int, int]:
        """(labels that hold, labels in all) of picture `index` rewritten as after_rgb.

        displacement: float32 (h, w, 2), (right, down) in pixels: what is at p now was at p + u(p), by the generator's
        own word, and the labels go along; None = nothing moved.
        """


@dataclass(frozen=True, eq=False)
class Evaluator:
    """A CycleGan -> numbers; a function of its weights alone, which changes nothing in it.

    synthetic, real: crops uint8 (n, 3, s, s), at least 2. witness: labelled pictures, if there are any.
    """

    synthetic: Tensor
    real: Tensor
    placement: Placement
    witness: LabelWitness | None = None
    inception: InceptionDistances | None = None

    @torch.no_grad()
    def __call__(self, gan: CycleGan) -> dict[str, float]:
        """The averaged generators' (without averages: the last step's) numbers.

        KID, SWD and "lab": distances of the translated synthetic crops from the real ones (see `gan.distances`),
        swd the mean over its levels and lab the sum over L, a, b. "cycle_psnr": F(G(x)) against x in dB. "label_hold":
        the share of labels that hold as they are, 0..1; absent where there is none to look at. Those of
        `InceptionDistances` besides, where there is one.
        """
        to_real = gan.averages.get("to_real", gan.networks.to_real)
        to_synthetic = gan.averages.get("to_synthetic", gan.networks.to_synthetic)
        translated, errors = [], []
        for crop in torch.split(self.synthetic, 1):
            there = self._translate(to_real, self._place(crop))[0]
            back = to_levels(self._translate(to_synthetic, there)[0]).cpu()
            translated.append(to_levels(there).cpu())
            errors.append((back.float() - crop.float()).square().mean())
        fakes = torch.cat(translated)
        levels = sliced_wasserstein(fakes, self.real)
        values = {
            KID: kid(self._extractor(fakes), self._real_features),
            SWD: sum(levels.values()) / len(levels),
            "lab": sum(lab_distance(fakes, self.real).values()),
            "cycle_psnr": float(10 * torch.log10(255**2 / torch.stack(errors).clamp_min(1e-2)).mean()),
        }
        if self.inception:
            values |= self.inception(fakes, self.real)
        held, total = self._labels(to_real)
        return values | ({"label_hold": held / total} if total else {})

    @cached_property
    def _extractor(self) -> FixedExtractor:
        return FixedExtractor().to(self.placement.device)

    @cached_property
    def _real_features(self) -> Tensor:
        features: Tensor = self._extractor(self.real)
        return features

    def _labels(self, to_real: Generator) -> tuple[int, int]:
        held = total = 0
        for index, picture in enumerate(self.witness.pictures if self.witness else ()):
            before = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
            after, moved = self._translate(to_real, self._place(before))
            after_rgb = to_levels(after)[0].permute(1, 2, 0).cpu().numpy()
            displacement = None if moved is None else moved[0].permute(1, 2, 0).float().cpu().numpy()
            assert self.witness is not None
            own_held, own_total = self.witness.held(index, after_rgb, displacement)
            held, total = held + own_held, total + own_total
        return held, total

    def _translate(self, network: Generator, signed: Tensor) -> tuple[Tensor, Tensor | None]:
        with self.placement.autocast():
            return network.with_displacement(signed)

    def _place(self, levels: Tensor) -> Tensor:
        return to_signed(levels.to(self.placement.device)).contiguous(memory_format=self.placement.memory_format)


def fixed_crops(domain: Domain, *, crop: int, count: int) -> Tensor:
    """`count` crops uint8 (count, 3, crop, crop), from pictures spread evenly over the domain, several of one picture
    where there are fewer; the same in every training, whatever its seed."""
    pieces = []
    for number in range(count):
        rng = rng_for(0, "train-gan.evaluate", domain.name, number)
        picture = domain.picture(number * len(domain) // count)
        piece = Cut.draw(picture.shape[:2], crop, rng, flip=False).of(picture)
        pieces.append(torch.from_numpy(np.ascontiguousarray(piece.transpose(2, 0, 1))))
    return torch.stack(pieces)
