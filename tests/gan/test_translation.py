"""A translation that can be scored: unpaired scenes of two worlds, of which one is the other in another light.

The true translation of every picture is known but never shown in training. Colour, contrast and shadow change at once.
"""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from garbage_synth.config.gan import GanConfig
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.gan.pixels import to_signed
from garbage_synth.gan.placement import Placement

SIDE = 48
PICTURES = 64
STEPS = 160
RATE = 2e-3


def scenes(seed: int, count: int) -> Tensor:
    """Soft-edged ellipses on soft grounds, float32 (count, 3, SIDE, SIDE) in 0..1."""
    rng = torch.Generator().manual_seed(seed)
    picture = 0.2 + 0.7 * interpolate(torch.rand(count, 3, 3, 3, generator=rng), size=SIDE, mode="bilinear")
    y, x = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    for _ in range(6):
        centre_x, centre_y = torch.rand(2, count, 1, 1, 1, generator=rng)
        radius_x, radius_y = 0.1 + 0.15 * torch.rand(2, count, 1, 1, 1, generator=rng)
        inside = torch.sigmoid(6 * (1 - ((x - centre_x) / radius_x) ** 2 - ((y - centre_y) / radius_y) ** 2))
        picture = torch.lerp(picture, torch.rand(count, 3, 1, 1, generator=rng), inside)
    return picture


def in_other_light(picture: Tensor) -> Tensor:
    """Darker mid-tones, warm light, some red haze, and a shadow that deepens to the right."""
    warm, haze = (torch.tensor(values).view(3, 1, 1) for values in ((0.85, 0.65, 0.4), (0.1, 0.0, 0.0)))
    return (picture**1.3 * warm * torch.linspace(1.0, 0.6, SIDE) + haze).clamp(0, 1)


def levels(picture: Tensor) -> Tensor:
    return (255 * picture).round().to(torch.uint8)


def trained(seed: int) -> CycleGan:
    config = GanConfig(preset="paper", base_channels=8, discriminator_channels=8, ema_decay=0.97)
    gan = CycleGan(GeneratorSpec("resnet6", 8), config, Placement(torch.device("cpu"), "fp32"), seed=seed)
    here, there = levels(scenes(1000 + seed, PICTURES)), levels(in_other_light(scenes(2000 + seed, PICTURES)))
    rng = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        x, y = torch.randint(PICTURES, (2, 1), generator=rng)
        gan.step(here[x], there[y], index=step, learning_rate=RATE * min(1.0, 2.5 * (1 - step / STEPS)))
    return gan


def scores(gan: CycleGan) -> tuple[float, float]:
    """On pictures not seen in training: the error as a part of that of doing nothing; how alike the shapes are, -1..1.

    The latter is the correlation with the true translation, each picture's mean colour taken away from both: a picture
    of one colour would have 0.
    """
    unseen = scenes(5000, 16)
    before, truth = (to_signed(levels(picture)) for picture in (unseen, in_other_light(unseen)))
    with torch.no_grad():
        after = gan.averages["to_real"](before)
    error, untouched = (float((picture - truth).abs().mean()) for picture in (after, before))
    a, b = (picture - picture.mean((2, 3), keepdim=True) for picture in (after, truth))
    return error / untouched, float((a * b).sum() / (a.norm() * b.norm()))


@pytest.mark.slow
def test_light_of_the_other_world_is_learned_from_unpaired_pictures() -> None:
    error, likeness = scores(trained(seed=0))
    # doing nothing has 1 and 0.91, a picture of the mean colour 0.35 and 0, an untrained generator 1.06 and 0.02
    assert error < 0.33
    assert likeness > 0.5
