"""The networks of the CycleGAN paper (arXiv 1703.10593, section 7.2), with the parameter counts of the published ones.

Notation of the paper: c7s1-k is a 7x7 convolution, dk a 3x3 one of stride 2, Rk a residual block of two 3x3, uk a
transposed 3x3 of stride 2, Ck a 4x4 convolution of the discriminator. InstanceNorm has no parameters and no running
statistics, therefore train() and eval() give the same output.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = [
    "DISCRIMINATOR_MIN_SIDE",
    "GENERATOR_BLOCKS",
    "GENERATOR_MIN_SIDE",
    "SIDE_MULTIPLE",
    "GeneratorName",
    "GeneratorSpec",
    "PatchDiscriminator",
    "ResnetGenerator",
    "count_parameters",
    "init_weights",
]

GeneratorName = Literal["resnet9", "resnet6"]

GENERATOR_BLOCKS: dict[GeneratorName, int] = {"resnet9": 9, "resnet6": 6}
"""Residual blocks of each generator: the paper takes 9 from 256x256 pixels, 6 below."""

SIDE_MULTIPLE = 4
"""A generator halves its picture twice, so sides must be multiples of this to come back at the same size."""

GENERATOR_MIN_SIDE = 8
"""Smallest side a generator takes: its residual blocks mirror one pixel and need two."""

DISCRIMINATOR_MIN_SIDE = 32
"""Smallest side a discriminator takes: its last map is then 2x2."""


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """What decides the shape of a generator. base_channels: channels at full resolution (the paper: 64)."""

    name: GeneratorName = "resnet9"
    base_channels: int = 64

    def build(self) -> "ResnetGenerator":
        """A new generator of this shape, its weights not yet those of the paper (see `init_weights`)."""
        return ResnetGenerator(GENERATOR_BLOCKS[self.name], self.base_channels)


class ResnetGenerator(nn.Module):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3, tanh.

    forward: float (b, 3, h, w) in [-1, 1] -> float32 (b, 3, h, w) in [-1, 1]; h and w multiples of 4, at least 8.
    """

    def __init__(self, blocks: int, base_channels: int = 64) -> None:
        super().__init__()
        c = base_channels
        self.body = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, c, 7),
            *_norm_relu(c),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1),
            *_norm_relu(2 * c),
            nn.Conv2d(2 * c, 4 * c, 3, stride=2, padding=1),
            *_norm_relu(4 * c),
            *(_ResidualBlock(4 * c) for _ in range(blocks)),
            nn.ConvTranspose2d(4 * c, 2 * c, 3, stride=2, padding=1, output_padding=1),
            *_norm_relu(2 * c),
            nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1),
            *_norm_relu(c),
            nn.ReflectionPad2d(3),
            nn.Conv2d(c, 3, 7),
        )

    def forward(self, image: Tensor) -> Tensor:
        """The translated pictures."""
        # tanh in float32: bfloat16 has steps of half a gray level near white
        return torch.tanh(self.body(image).float())


class PatchDiscriminator(nn.Module):
    """C64 (no norm), C128, C256, C512 (stride 1), then a convolution to one channel: the 70x70 PatchGAN.

    forward: float (b, 3, h, w) -> a map (b, 1, h/8 - 2, w/8 - 2), one verdict per patch, never averaged here:
    the loss is taken per patch. 256x256 pixels give 30x30 verdicts.
    """

    def __init__(self, base_channels: int = 64) -> None:
        super().__init__()
        c = base_channels
        self.body = nn.Sequential(
            nn.Conv2d(3, c, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(c, 2 * c, 4, stride=2, padding=1),
            nn.InstanceNorm2d(2 * c),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * c, 4 * c, 4, stride=2, padding=1),
            nn.InstanceNorm2d(4 * c),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4 * c, 8 * c, 4, stride=1, padding=1),
            nn.InstanceNorm2d(8 * c),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8 * c, 1, 4, stride=1, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """The map of verdicts."""
        verdicts: Tensor = self.body(image)
        return verdicts


class _ResidualBlock(nn.Module):
    """x + (conv, norm, relu, conv, norm)(x), mirrored borders, nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_norm_relu(channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.body(features)
        return result


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)


def init_weights(network: nn.Module, generator: torch.Generator, std: float = 0.02) -> None:
    """Set every weight to N(0, std) and every bias to 0, in place; the paper's initialisation (section 7.1).

    generator: a CPU generator, so that the weights of a seed are the same on every device.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


def count_parameters(network: nn.Module) -> int:
    """Number of scalars that are trained."""
    return sum(math.prod(parameter.shape) for parameter in network.parameters())
