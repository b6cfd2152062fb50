"""The losses of the CycleGAN paper as pure functions: networks and crops in, named scalars out.

All that is known goes through a generator in one call: InstanceNorm works on each picture alone, so a joint batch gives
what separate calls give, with fewer kernels. Three calls do: one of G, one of F that takes G's result along, one of G.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.gan.label_terms import LabelTerms
from garbage_synth.gan.networks import Generator

__all__ = ["GeneratorTerms", "Networks", "Weights", "discriminator_loss", "generator_terms", "lsgan_loss"]


@dataclass(frozen=True, slots=True)
class Networks:
    """The four networks. to_real: synthetic -> real (the paper's G); to_synthetic: real -> synthetic (its F).

    judge_real, judge_synthetic: discriminators of the two domains.
    """

    to_real: Generator
    to_synthetic: Generator
    judge_real: nn.Module
    judge_synthetic: nn.Module


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the cycle loss and, as its multiple, of the identity loss (the paper: 10 and 0.5).

    smooth_below: difference below which both are quadratic instead of linear; 0 = nowhere, as in the paper. A linear
    loss keeps generators that begin as the identity there: any change costs at once what the discriminators pay only
    later.
    """

    cycle: float = 10.0
    identity_ratio: float = 0.5
    smooth_below: float = 0.0


@dataclass(frozen=True, slots=True)
class GeneratorTerms:
    """total: what the generators minimise. terms: its unweighted parts by name, detached; displacement_px, the mean
    displacement of a generator that has one, is told beside them. fake_*: detached pictures."""

    total: Tensor
    terms: dict[str, Tensor]
    fake_real: Tensor
    fake_synthetic: Tensor


def lsgan_loss(verdicts: Tensor, target: float) -> Tensor:
    """Mean over all patches of (verdict - target)^2, float32.

    Squared per patch and then averaged: averaging the map first would let the errors of patches cancel.
    """
    return functional.mse_loss(verdicts.float(), torch.full((), target, device=verdicts.device).expand(verdicts.shape))


def generator_terms(
    networks: Networks, synthetic: Tensor, real: Tensor, weights: Weights, labels: LabelTerms | None = None
) -> GeneratorTerms:
    """The generators' loss on one batch of each domain (paper, equations 1 to 4 and section 5.2 for identity).

    synthetic, real: float (b, 3, h, w) in [-1, 1], equal shapes. labels: what is added to keep them true, None for the
    paper's loss. Discriminators should be frozen by the caller.
    """
    terms: dict[str, Tensor] = {}
    identity = weights.identity_ratio > 0 and weights.cycle > 0
    identity_total: Tensor | float = 0.0
    counts = [len(batch) for batch in (synthetic, *([real] if identity else []))]
    pictures, displacement = networks.to_real.with_displacement(torch.cat([synthetic, real][: len(counts)]))
    fake_real, *same_real = torch.split(pictures, counts)
    fake_synthetic, back_synthetic, *same_synthetic = _jointly(
        networks.to_synthetic, real, fake_real, *([synthetic] if identity else [])
    )
    back_real = networks.to_real(fake_synthetic)
    if identity:
        terms["identity_real"] = _difference(same_real[0], real, weights.smooth_below)
        terms["identity_synthetic"] = _difference(same_synthetic[0], synthetic, weights.smooth_below)
        identity_total = terms["identity_real"] + terms["identity_synthetic"]
    pixel_weight = None if labels is None else labels.cycle_weight()
    terms["cycle_synthetic"] = _difference(back_synthetic, synthetic, weights.smooth_below, pixel_weight)
    terms["cycle_real"] = _difference(back_real, real, weights.smooth_below)
    terms["adversarial_real"] = lsgan_loss(networks.judge_real(fake_real), 1.0)
    terms["adversarial_synthetic"] = lsgan_loss(networks.judge_synthetic(fake_synthetic), 1.0)
    total = (
        terms["adversarial_real"]
        + terms["adversarial_synthetic"]
        + weights.cycle * (terms["cycle_synthetic"] + terms["cycle_real"])
        + weights.cycle * weights.identity_ratio * identity_total
    )
    if labels is not None:
        moved = None if displacement is None else displacement[: len(synthetic)]
        for name, (weight, term) in labels.terms(networks.to_real, synthetic, fake_real, moved).items():
            terms[name] = term
            total = total + weight * term
        if moved is not None:
            terms["displacement_px"] = torch.linalg.vector_norm(moved, dim=1).mean()
    detached = {name: term.detach() for name, term in terms.items()}
    return GeneratorTerms(total, detached, fake_real.detach(), fake_synthetic.detach())


def discriminator_loss(judge: nn.Module, genuine: Tensor, translated: Tensor) -> Tensor:
    """Half of LSGAN(genuine, 1) + LSGAN(translated, 0): halved so that the judge learns slower (paper, section 7.1).

    genuine, translated: float (b, 3, h, w) of equal shape, both without gradient history.
    """
    on_genuine, on_translated = judge(torch.cat([genuine, translated])).split(genuine.shape[0])
    return 0.5 * (lsgan_loss(on_genuine, 1.0) + lsgan_loss(on_translated, 0.0))


def _difference(result: Tensor, wanted: Tensor, smooth_below: float, pixel_weight: Tensor | None = None) -> Tensor:
    """mean |result - wanted|, quadratic for small differences."""
    if pixel_weight is None:
        return functional.smooth_l1_loss(result, wanted, beta=smooth_below)
    each = functional.smooth_l1_loss(result.float(), wanted.float(), beta=smooth_below, reduction="none")
    return (pixel_weight * each).mean()


def _jointly(network: nn.Module, *pictures: Tensor) -> list[Tensor]:
    """What the network makes of each of the batches, computed as one."""
    return list(torch.split(network(torch.cat(pictures)), [len(batch) for batch in pictures]))
