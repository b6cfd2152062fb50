"""Do recorded steps do on this machine what plain ones do? Tried on small networks before a training relies on it."""

import gc
import math
from dataclasses import replace

import torch
from torch import Tensor

from garbage_synth.config.gan import GanConfig, LabelConfig
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.gan.placement import Placement

__all__ = ["graphs_fail"]

_STEPS = 12
"""With the term of mirrored pictures in every second one, each kind of step is recorded in the first 8 of them."""

_STILL_STEPS = 2
_SIDE_PX = 32
_LARGEST_DIFFERENCE = 0.02
"""Of one loss, in the mean of the steps. On a CPU, gradients with a noise of 1e-6 to 1e-2 of their size came to 0.0055
at most (Adam's first steps make much of little), steps with one input that stays the same to 0.05 at least, those with
a learning rate that stays to 0.2."""

_TIMES_DRIFT = 2

_Losses = dict[str, Tensor]


def graphs_fail(placement: Placement) -> str | None:
    """Why steps replayed from CUDA graphs cannot be used at this placement, None where they can.

    The losses of recorded and plain steps must agree, as far as two plain runs do on a device whose sums come in any
    order, and recorded ones must follow the learning rate: at a rate of 0 nothing may move. torch.compile is left out:
    it fuses anew for every size of picture, but only so many times.
    """
    placement = replace(placement, acceleration="graph")
    try:
        recorded, still = _losses(placement)
        if not still:
            return "recorded steps do not follow the learning rate"
        plain, again = (_losses(replace(placement, graphs_hold=False))[0] for _ in range(2))
    except RuntimeError as error:
        return " ".join(str(error).split())[:200]
    finally:
        gc.collect()  # graphs that are let go while a later one is recorded would spoil that one
    return _disagreement(recorded, plain, again)


def _disagreement(recorded: _Losses, plain: _Losses, again: _Losses) -> str | None:
    """Which loss of recorded steps is not that of plain ones, by more than two plain runs differ; None for none."""
    for name, values in plain.items():
        difference, drift = (float((losses[name] - values).abs().mean()) for losses in (recorded, again))
        bound = max(_LARGEST_DIFFERENCE, _TIMES_DRIFT * drift) if math.isfinite(drift) else 0.0
        if not difference < bound:  # also where it is not a number
            return (
                f"the loss {name} of recorded steps differs from that of plain ones by {difference:.2g} in the mean, "
                f"two plain runs by {drift:.2g}"
            )
    return None


def _losses(placement: Placement) -> tuple[_Losses, bool]:
    """The losses of some steps of a small CycleGAN by name, and whether generators stand still at a rate of 0."""
    config = GanConfig(
        base_channels=8, discriminator_channels=8, ema_decay=0, labels=LabelConfig(flip_every_steps=2), pool_size=2
    )
    gan = CycleGan(GeneratorSpec("warp6", config.base_channels, 4.0), config, placement, seed=0, labelled=True)
    rng = torch.Generator().manual_seed(0)
    values: dict[str, list[Tensor]] = {}
    before = [parameter.clone() for parameter in gan.networks.to_real.parameters()]
    for step in range(_STEPS + _STILL_STEPS):
        if step == _STEPS:
            before = [parameter.detach().clone() for parameter in gan.networks.to_real.parameters()]
        pair = torch.randint(0, 256, (2, 1, 3, _SIDE_PX, _SIDE_PX), dtype=torch.uint8, generator=rng)
        classes = torch.zeros((1, _SIDE_PX, _SIDE_PX), dtype=torch.uint8)
        classes[:, 8:20, 4 + step // 2 : 16] = 1 + step % 2
        rate = config.learning_rate / (1 + step) if step < _STEPS else 0.0
        losses = gan.step(pair[0], pair[1], index=step, learning_rate=rate, classes=classes)
        for name, loss in losses.items():
            values.setdefault(name, []).append(loss.float().cpu())
    after = gan.networks.to_real.parameters()
    still = all(torch.equal(now, then) for now, then in zip(after, before, strict=True))
    return {name: torch.stack(told) for name, told in values.items()}, still
