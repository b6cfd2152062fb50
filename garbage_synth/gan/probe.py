"""Do recorded steps do on this machine what plain ones do? Tried on small networks before a training relies on it."""

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
_SIDE_PX = 64
_LARGEST_DIFFERENCE = 0.05


def graphs_fail(placement: Placement) -> str | None:
    """Why steps replayed from CUDA graphs cannot be used at this placement, None where they can.

    The losses of recorded and plain steps must agree, and recorded ones must follow the learning rate: at a rate of 0
    nothing may move.
    """
    try:
        recorded, still = _losses(placement)
        plain, _ = _losses(replace(placement, graphs_hold=False))
    except RuntimeError as error:
        return " ".join(str(error).split())[:200]
    if not still:
        return "recorded steps do not follow the learning rate"
    difference = float((recorded - plain).abs().max())
    if not difference < _LARGEST_DIFFERENCE:  # also where it is not a number
        return f"the losses of a recorded step differ from those of a plain one by {difference:.2g}"
    return None


def _losses(placement: Placement) -> tuple[Tensor, bool]:
    """Every loss of some steps of a small CycleGAN, and whether generators stand still at a learning rate of 0."""
    config = GanConfig(
        base_channels=8, discriminator_channels=8, ema_decay=0, labels=LabelConfig(flip_every_steps=2), pool_size=2
    )
    gan = CycleGan(GeneratorSpec("warp6", config.base_channels, 4.0), config, placement, seed=0, labelled=True)
    rng = torch.Generator().manual_seed(0)
    rows: list[Tensor] = []
    before = [parameter.clone() for parameter in gan.networks.to_real.parameters()]
    for step in range(_STEPS + _STILL_STEPS):
        if step == _STEPS:
            before = [parameter.detach().clone() for parameter in gan.networks.to_real.parameters()]
        pair = torch.randint(0, 256, (2, 1, 3, _SIDE_PX, _SIDE_PX), dtype=torch.uint8, generator=rng)
        classes = torch.zeros((1, _SIDE_PX, _SIDE_PX), dtype=torch.uint8)
        classes[:, 16:40, 8 + step : 32] = 1 + step % 2
        rate = config.learning_rate / (1 + step) if step < _STEPS else 0.0
        losses = gan.step(pair[0], pair[1], index=step, learning_rate=rate, classes=classes)
        rows += [losses[name].float().cpu() for name in sorted(losses)]
    after = gan.networks.to_real.parameters()
    return torch.stack(rows), all(torch.equal(now, then) for now, then in zip(after, before, strict=True))
