"""The networks of the CycleGAN paper (arXiv 1703.10593, section 7.2), with the parameter counts of the published ones.

Notation of the paper: c7s1-k is a 7x7 convolution, dk a 3x3 one of stride 2, Rk a residual block of two 3x3, uk a
transposed 3x3 of stride 2, Ck a 4x4 convolution of the discriminator. InstanceNorm has no parameters and no running
statistics, therefore train() and eval() give the same output.

Beside them stand generators that are the identity from the start and learn what to change (`WarpGenerator`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from garbage_synth.gan.warp import PITCH_PX, displacement_of, warp

__all__ = [
    "DISCRIMINATOR_MIN_SIDE",
    "GENERATOR_BLOCKS",
    "GENERATOR_MIN_SIDE",
    "SIDE_MULTIPLE",
    "WARP_GENERATORS",
    "WARP_LAYOUT",
    "Generator",
    "GeneratorName",
    "GeneratorSpec",
    "PatchDiscriminator",
    "ResnetGenerator",
    "WarpGenerator",
    "count_parameters",
    "init_weights",
]

GeneratorName = Literal["resnet9", "resnet6", "warp", "warp6"]

GENERATOR_BLOCKS: dict[GeneratorName, int] = {"resnet9": 9, "resnet6": 6, "warp": 9, "warp6": 6}
"""Residual blocks of each generator: the paper takes 9 from 256x256 pixels, 6 below."""

WARP_GENERATORS: frozenset[GeneratorName] = frozenset({"warp", "warp6"})
"""Those that deform the picture they are given and add to it, see `WarpGenerator`."""

WARP_LAYOUT = 2
"""Counts the arrangements of layers that WARP_GENERATORS have had: a training of an earlier one is not resumed."""

SIDE_MULTIPLE = 4
"""A generator halves its picture twice, so sides must be multiples of this to come back at the same size."""

GENERATOR_MIN_SIDE = 8
"""Smallest side a generator takes: its residual blocks mirror one pixel and need two."""

DISCRIMINATOR_MIN_SIDE = 32
"""Smallest side a discriminator takes: its last map is then 2x2."""


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """What decides the shape of a generator.

    base_channels: channels at full resolution (the paper: 64). warp_max_px: how far one of WARP_GENERATORS may move a
    pixel along each axis, from 0 (not at all) to below 8; the others do not look at it.
    """

    name: GeneratorName = "resnet9"
    base_channels: int = 64
    warp_max_px: float = 0.0

    @property
    def deforms(self) -> bool:
        """Whether the generator moves pixels, and tells how far (`Generator.with_displacement`)."""
        return self.name in WARP_GENERATORS and self.warp_max_px > 0

    def build(self) -> "Generator":
        """A new generator of this shape, its weights not yet those of the paper (see `init_weights`)."""
        blocks = GENERATOR_BLOCKS[self.name]
        if self.name in WARP_GENERATORS:
            return WarpGenerator(blocks, self.base_channels, self.warp_max_px)
        return ResnetGenerator(blocks, self.base_channels)


class Generator(nn.Module):
    """A network that translates pictures.

    forward: float (b, 3, h, w) in [-1, 1] -> float32 (b, 3, h, w), nominally in [-1, 1]; h and w multiples of 4, at
    least 8. The weights may be of a lower precision than the pictures.
    """

    def forward(self, image: Tensor) -> Tensor:
        """The translated pictures."""
        return self.with_displacement(image)[0]

    def with_displacement(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """The translated pictures, and the displacement that things in them underwent.

        The displacement u is float32 (b, 2, h, w), (right, down) in pixels: what is at p now was at p + u(p). None for
        a generator that does not tell.
        """
        raise NotImplementedError

    def _in_format_of_weights(self, image: Tensor) -> Tensor:
        return image.to(next(self.parameters()).dtype)


class ResnetGenerator(Generator):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3, tanh: the paper's. Values in [-1, 1]."""

    def __init__(self, blocks: int, base_channels: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_encoder(blocks, base_channels), *_decoder(base_channels), nn.Conv2d(base_channels, 3, 7)
        )

    def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
        """The translated pictures."""
        # tanh in float32: bfloat16 has steps of half a gray level near white
        return torch.tanh(self.body(self._in_format_of_weights(image)).float()), None


class WarpGenerator(Generator):
    """G(x) = W(x; u) + r: the picture deformed by a smooth displacement u, and a residual r added to it.

    Both come from features like those of the paper's network after its residual blocks. r = 2 tanh(a / 2), a by two
    enlargements and c7s1-3: in (-2, 2), so that every colour can become every other, and of slope 1 at 0. u is the
    cubic B-spline of a grid of control points 32 pixels apart (see `gan.warp`), each within [-warp_max_px,
    warp_max_px]; as warp_max_px is below a quarter of 32, the deformation cannot fold, and boxes and outlines may
    follow it exactly. With warp_max_px 0 there is no u and G(x) = x + r. The last layers of r and of the grid begin at
    zero: a new generator (after `init_weights`) is the identity.

    Unlike the paper's, every border is mirrored, and maps are enlarged without overlaps (see `_RepeatedPixels`): the
    grid and the borders that the paper's layers leave on even ground would stay in r as they are.

    forward: values in (-3, 3), near [-1, 1] once trained. They are not clamped, as training needs the gradient there;
    `to_levels` clamps.
    """

    def __init__(self, blocks: int, base_channels: int = 64, warp_max_px: float = 4.0) -> None:
        super().__init__()
        if not 0 <= warp_max_px < PITCH_PX / 4:
            raise ValueError(f"warp_max_px {warp_max_px} must be from 0 to below {PITCH_PX // 4}")
        c = base_channels
        self.warp_max_px = warp_max_px
        self.trunk = nn.Sequential(*_encoder(blocks, c, mirrored=True))
        self.residual_head = nn.Sequential(
            *_enlarging(4 * c, 2 * c), *_enlarging(2 * c, c), nn.ReflectionPad2d(3), _ZeroConv2d(c, 3, 7)
        )
        self.grid_head: nn.Sequential | None = None
        if warp_max_px > 0:
            self.grid_head = nn.Sequential(
                nn.ReflectionPad2d(1),
                nn.Conv2d(4 * c, c, 3),
                *_norm_relu(c),
                nn.AvgPool2d(PITCH_PX // SIDE_MULTIPLE, ceil_mode=True),
                _ZeroConv2d(c, 2, 1),
            )

    def with_displacement(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """The translated pictures and u; None instead of u where warp_max_px is 0."""
        features = self.trunk(self._in_format_of_weights(image))
        grid = self.grid(features)
        height, width = image.shape[2:]
        u = None if grid is None else self.displacement(grid, (height, width), 0, height)
        return self.compose(image, u, self.residual_head(features)), u

    def grid(self, features: Tensor) -> Tensor | None:
        """Control points float32 (b, 2, ceil(h / 32), ceil(w / 32)) in pixels, of the trunk's (b, 4c, h/4, w/4)."""
        if self.grid_head is None:
            return None
        return self.warp_max_px * torch.tanh(self.grid_head(features).float())

    @staticmethod
    def displacement(grid: Tensor, size_hw: tuple[int, int], top: int, bottom: int) -> Tensor:
        """Rows top to bottom of u for a picture of size_hw, float32 (b, 2, bottom - top, w)."""
        return displacement_of(grid, size_hw, top, bottom)

    @staticmethod
    def moved(image: Tensor, u: Tensor | None, above: int = 0) -> Tensor:
        """W(x; u): the deformed pictures or rows of them, of u (b, 2, h, w) and the picture; above: how many more rows
        of the picture are given above them (see `warp`)."""
        return image.float() if u is None else warp(image, u, above)

    @classmethod
    def compose(cls, image: Tensor, u: Tensor | None, head: Tensor, above: int = 0) -> Tensor:
        """The translated pictures or rows, of what `moved` takes and the residual head's output (b, 3, h, w)."""
        return cls.moved(image, u, above) + 2 * torch.tanh(head.float() / 2)


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


class _ZeroConv2d(nn.Conv2d):
    """A convolution whose weights begin at zero, as its biases do."""


def _encoder(blocks: int, c: int, *, mirrored: bool = False) -> tuple[nn.Module, ...]:
    """c7s1-64, d128, d256, R256 x blocks, where c stands for 64. mirrored: d pads with mirrored pixels, not zeros."""
    return (
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, c, 7),
        *_norm_relu(c),
        *_halving(c, 2 * c, mirrored=mirrored),
        *_halving(2 * c, 4 * c, mirrored=mirrored),
        *(_ResidualBlock(4 * c) for _ in range(blocks)),
    )


def _halving(inputs: int, outputs: int, *, mirrored: bool) -> tuple[nn.Module, ...]:
    """The paper's dk: (b, inputs, h, w) -> (b, outputs, h/2, w/2), with mirrored borders where asked for."""
    if mirrored:
        return nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3, stride=2), *_norm_relu(outputs)
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *_norm_relu(outputs)


def _enlarging(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """(b, inputs, h, w) -> (b, outputs, 2h, 2w); even ground stays even."""
    enlarged = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=3)
    enlarged.weight = nn.Parameter(torch.empty(inputs, outputs, 3, 3))
    parametrize.register_parametrization(enlarged, "weight", _RepeatedPixels(), unsafe=True)  # 3x3 -> 4x4
    return nn.ReflectionPad2d(1), enlarged, *_norm_relu(outputs)


class _RepeatedPixels(nn.Module):
    """Weights of a 3x3 convolution -> those of a 4x4 transposed one of stride 2 that does the same to repeated pixels.

    Every pixel repeated to 2x2, then convolved: Odena et al. 2016, Deconvolution and Checkerboard Artifacts. In one
    dimension the convolution (a, b, c) gives a x[i-1] + (b + c) x[i] and (a + b) x[i] + c x[i+1], which is what the
    kernel (c, b + c, a + b, a) gives, without the memory of the enlarged map.
    Pixels that stand beyond a border are repeated too.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """(i, o, 3, 3) -> (i, o, 4, 4)."""
        for along in (2, 3):
            a, b, c = weight.unbind(along)
            weight = torch.stack([c, b + c, a + b, a], along)
        return weight


def _decoder(c: int) -> tuple[nn.Module, ...]:
    """u128, u64 and the mirrored border of the c7s1-3 that follows."""
    return (
        nn.ConvTranspose2d(4 * c, 2 * c, 3, stride=2, padding=1, output_padding=1),
        *_norm_relu(2 * c),
        nn.ConvTranspose2d(2 * c, c, 3, stride=2, padding=1, output_padding=1),
        *_norm_relu(c),
        nn.ReflectionPad2d(3),
    )


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)


def init_weights(network: nn.Module, generator: torch.Generator, std: float = 0.02) -> None:
    """Set every weight to N(0, std) and every bias to 0, in place; the paper's initialisation (section 7.1).

    The last layers of a WarpGenerator begin at 0 altogether. generator: a CPU generator, so that the weights of a seed
    are the same on every device.
    """
    with torch.no_grad():
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if name == "bias" or isinstance(module, _ZeroConv2d):
                    parameter.zero_()
                else:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)


def count_parameters(network: nn.Module) -> int:
    """Number of scalars that are trained."""
    return sum(math.prod(parameter.shape) for parameter in network.parameters())
