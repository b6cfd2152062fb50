"""A small network that finds the items of a picture: trained on composites, it judges what became of them in G(x).

It sees composites in changed colours, light, sharpness and noise, so that it holds on to shapes: otherwise it would
call every change of domain a loss. A translated picture in which it still finds the masks has kept its labels.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.gan.means import LEAST_SHARE, mean_over

__all__ = [
    "JITTER_NUMBERS",
    "Segmenter",
    "init_segmenter",
    "jitter_colours",
    "overlap",
    "segmentation_loss",
]

JITTER_NUMBERS = 13
"""Random numbers that `jitter_colours` wants of each picture."""


class Segmenter(nn.Module):
    """A U-Net (arXiv 1505.04597) of two halvings whose deepest level looks wide by dilation.

    classes: kinds of items beside the belt; 1 = any item, for class maps as `classes > 0`. forward: float (b, 3, h, w)
    in [-1, 1] -> float32 logits (b, classes + 1, h, w), the belt first; h and w multiples of 4.

    It has no norms, therefore wants the weights of `init_segmenter`: InstanceNorm blows the grain of an empty crop up
    to the contrast of items. On single crops of 96 pixels of rendered composites, Adam at 1e-3, Dice of any item on
    other composites: 0.80 after 50 steps, 0.82 after 100 (0.61 with InstanceNorm), 0.83 after 300.
    """

    def __init__(self, classes: int = 1, base_channels: int = 16) -> None:
        super().__init__()
        c = base_channels
        self.outer = nn.Sequential(_block(3, c), _block(c, c))
        self.middle = nn.Sequential(_block(c, 2 * c, stride=2), _block(2 * c, 2 * c))
        self.inner = nn.Sequential(
            _block(2 * c, 4 * c, stride=2), *(_block(4 * c, 4 * c, dilation=dilation) for dilation in (1, 2, 4, 8, 1))
        )
        self.middle_again = _block(6 * c, 2 * c)
        self.outer_again = _block(3 * c, c)
        self.head = nn.Conv2d(c, classes + 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """The logits of belt and classes at every pixel."""
        outer = self.outer(image)
        middle = self.middle(outer)
        middle = self.middle_again(torch.cat([_doubled(self.inner(middle)), middle], dim=1))
        logits: Tensor = self.head(self.outer_again(torch.cat([_doubled(middle), outer], dim=1))).float()
        return logits


def init_segmenter(network: Segmenter, generator: torch.Generator) -> None:
    """Set every weight to N(0, 2 / inputs) and every bias to 0, in place (arXiv 1502.01852): signals keep their size.

    generator: a CPU generator, so that the weights of a seed are the same on every device.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.zero_()
            else:
                inputs = math.prod(parameter.shape[1:])
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * math.sqrt(2 / inputs))


def segmentation_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy, in which belt and items count alike however large, plus 1 - soft Dice of the items; a scalar.

    logits: float (b, n + 1, h, w); classes: integer (b, h, w), 0..n. The Dice is of items against the belt, whatever
    their class. Where there are next to no items, or no belt, their share of the entropy fades. Each picture is judged
    for itself: the loss of a batch is the mean of theirs.
    """
    logits, target = logits.float(), classes.long()
    item = (target > 0).float()
    lost = functional.cross_entropy(logits, target, reduction="none")
    entropy = 0.5 * (mean_over(lost, item) + mean_over(lost, 1 - item))
    found = 1 - logits.softmax(dim=1)[:, 0]
    smooth = LEAST_SHARE * item[0].numel()
    met, both = (found * item).sum((1, 2)), found.sum((1, 2)) + item.sum((1, 2))
    return entropy + 1 - ((2 * met + smooth) / (both + smooth)).mean()


def overlap(logits: Tensor, classes: Tensor) -> Tensor:
    """(2 |P and M|, |P| + |M|) in pixels, float32 (2,): P = what is no belt rather than belt, M = items of any class.

    Their quotient is the Dice of a batch. Averages over steps should be taken of both and divided afterwards: a crop
    without items then counts as nothing, not as a success.
    """
    found, item = logits.softmax(dim=1)[:, 0] < 0.5, classes > 0
    return torch.stack([2.0 * (found & item).sum(), found.sum() + item.sum()]).float()


def jitter_colours(images: Tensor, numbers: Tensor) -> Tensor:
    """The same pictures as another camera might see them: float (b, 3, h, w) in [-1, 1], of the same shape.

    Gamma, contrast, brightness, white balance, saturation, a slope of light, blur and noise; nothing moves.
    numbers: float (b, JITTER_NUMBERS), uniform in 0..1: all the randomness there is. 0.5 each leaves gray
    pictures alone.
    """
    spread = (2 * numbers.float() - 1).view(*numbers.shape, 1, 1, 1)  # each number -1..1, to go with (b, 3, h, w)
    gamma, contrast, brightness, saturation, slope, turn, blur, amplitude, seed_x, seed_y = (
        spread[:, place] for place in range(10)
    )
    balance = spread[:, 10:13, 0]
    height, width = images.shape[-2:]
    y = torch.linspace(-1, 1, height, device=images.device).view(1, 1, height, 1)
    x = torch.linspace(-1, 1, width, device=images.device).view(1, 1, 1, width)

    light = (0.5 * images.float() + 0.5).clamp(1e-3, 1) ** torch.exp(0.5 * gamma)
    gray = light.mean(dim=1, keepdim=True)
    light = gray + (0.85 + 0.6 * saturation) * (light - gray)
    field = torch.exp(0.2 * balance + 0.3 * slope * (x * torch.cos(math.pi * turn) + y * torch.sin(math.pi * turn)))
    light = (1 + 0.4 * contrast) * (light - gray.mean(dim=(2, 3), keepdim=True)) + gray.mean(dim=(2, 3), keepdim=True)
    light = light * field + 0.2 * brightness
    soft = functional.avg_pool2d(light, 5, stride=1, padding=2, count_include_pad=False)
    light = light + blur.clamp_min(0) * (soft - light)
    rows = torch.arange(height, device=images.device).view(1, 1, height, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, width)
    # numbers of a picture, not of a device: white noise from a hash of the place
    grain = torch.sin(rows * (12.9898 + seed_x) + columns * (78.233 + seed_y) + 3.1 * seed_x) * 4375.85
    light = light + 0.06 * amplitude.clamp_min(0) * (2 * (grain - grain.floor()) - 1)
    return (2 * light - 1).clamp(-1, 1).to(images.dtype)


def _block(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)
    )


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
