"""What a translated picture must keep so that the labels of its original still hold, as pure functions.

Pictures are float (b, 3, h, w) in about [-1, 1] of any float type; all is computed in float32. Class maps are integer
(b, h, w): 0 = belt, k = an item of class k. Light, colour, grain and shadows beside items are free; outlines, what is
printed on items, and the emptiness of the empty belt are not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from garbage_synth.gan.means import mean_over

__all__ = [
    "Regions",
    "cycle_weight",
    "flip_loss",
    "luminance",
    "new_edge_loss",
    "regions_of",
    "structure_loss",
]

_LEVEL = 1 / 127.5
_WINDOW_PX = 9
_SCALES = (1, 2, 4)
_STRUCTURE_FLOOR = (4 * _LEVEL) ** 2
"""Local variance of the original at which a window counts by half: fainter ones are grain."""
_NOISE_FLOOR = (0.5 * _LEVEL) ** 2
"""Local variance below which nothing is told apart from rounding."""
_ITEM_SHARE = 0.5
_REACH_PX = 2


@dataclass(frozen=True, slots=True)
class Regions:
    """Where things lie, each float32 (b, 1, h, w) of 0 and 1.

    item: items; edge: a band along every outline, inside and outside; ring: belt around items where shadows fall;
    rest: the belt beyond. item and edge overlap, everything else is apart.
    """

    item: Tensor
    edge: Tensor
    ring: Tensor
    rest: Tensor


def regions_of(classes: Tensor, *, edge_px: int, ring_px: int) -> Regions:
    """The regions of class maps, integer (b, h, w).

    edge_px: half width of the band along outlines, also where items of different classes touch; ring_px: how far a
    shadow may reach from an item. Distances are those of a square; a picture's border is no outline.
    """
    levels = classes.unsqueeze(1).float()
    item = (levels > 0).float()
    edge = (_dilated(levels, edge_px) + _dilated(-levels, edge_px) > 0).float()
    near = torch.maximum(_dilated(item, ring_px), edge)
    return Regions(item=item, edge=edge, ring=near - torch.maximum(item, edge), rest=1 - near)


def cycle_weight(regions: Regions, item: float = 1.0, edge: float = 2.0) -> Tensor:
    """What each pixel counts in the cycle loss, (b, 1, h, w): 1 + item * M + edge * E, of mean 1 in each picture.

    item = edge = 0 gives 1 everywhere, the paper's plain mean.
    """
    weight = 1 + item * regions.item + edge * regions.edge
    return weight / weight.mean(dim=(1, 2, 3), keepdim=True)


def structure_loss(translated: Tensor, original: Tensor, regions: Regions) -> Tensor:
    """1 - local normalised cross-correlation of luminance: over outlines, plus half of that over items; a scalar.

    Windows of 9 pixels at full, half and quarter size. Gain, offset and slow light cost next to nothing, an erased
    outline 1, an inverted one 2. A window counts as far as the original has structure in it: v / (v + floor) of its
    variance v. 0 without items.
    """
    after, before = luminance(translated), luminance(original)
    total = torch.zeros((), device=original.device)
    for scale in _SCALES:
        pooled = [functional.avg_pool2d(each, scale) for each in (after, before, regions.edge, regions.item)]
        lost = _lost_structure(pooled[0], pooled[1])
        total = total + mean_over(lost, pooled[2]) + _ITEM_SHARE * mean_over(lost, pooled[3])
    return total / len(_SCALES)


def new_edge_loss(translated: Tensor, original: Tensor, regions: Regions, tau: float) -> Tensor:
    """How much edges on the belt far from items exceed those of the original nearby, beyond tau; a scalar.

    mean over `rest` of max(0, |grad G(x)| - |grad x| - tau) of luminance at half size, so that grain is averaged away;
    |grad| is the height of a step, 2 = black to white, and x counts by its strongest edge within 2 pixels. 0 where no
    belt is far from items.
    """
    after, before = (_edges(functional.avg_pool2d(luminance(image), 2)) for image in (translated, original))
    excess = functional.relu(after - _dilated(before, _REACH_PX) - tau)
    return mean_over(excess, functional.avg_pool2d(regions.rest, 2))


def flip_loss(network: Callable[[Tensor], Tensor], original: Tensor, translated: Tensor) -> Tensor:
    """mean |G(mirrored x) - mirrored G(x)|, with translated = G(x): geometry consistency (arXiv 1809.05852); a scalar.

    Both sides are left to right. What is done to a picture must not depend on which way round it lies.
    """
    return functional.l1_loss(network(original.flip(-1)).float(), translated.flip(-1).float())


def luminance(image: Tensor) -> Tensor:
    """float32 (b, 1, h, w) of RGB (b, 3, h, w) in the same range, weighted as in Rec. 601."""
    red, green, blue = image.float().unbind(dim=1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def _lost_structure(after: Tensor, before: Tensor) -> Tensor:
    """(b, 1, h, w): per window 0 where both agree up to gain and offset, up to 1 where lost, up to 2 where inverted."""
    moments = torch.cat([after, before, after * after, before * before, after * before], dim=1)
    # what hangs over the border is left out of the mean
    means = functional.avg_pool2d(moments, _WINDOW_PX, stride=1, padding=_WINDOW_PX // 2, count_include_pad=False)
    mean_after, mean_before, square_after, square_before, product = means.chunk(5, dim=1)
    spread_after = (square_after - mean_after * mean_after).clamp_min(0)
    spread_before = (square_before - mean_before * mean_before).clamp_min(0)
    joint = product - mean_after * mean_before
    correlation = joint * torch.rsqrt((spread_after + _NOISE_FLOOR) * (spread_before + _NOISE_FLOOR))
    return spread_before / (spread_before + _STRUCTURE_FLOOR) * (1 - correlation)


def _edges(gray: Tensor) -> Tensor:
    """The height of the step at each pixel, (b, 1, h, w): the magnitude of Sobel's gradient in units of the step."""
    padded = functional.pad(gray, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 2:] - padded[..., :-2]
    along = padded[..., 2:, :] - padded[..., :-2, :]
    across = (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 4
    along = (along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]) / 4
    return torch.sqrt(across * across + along * along + _NOISE_FLOOR)  # the floor: sqrt has no slope at 0


def _dilated(image: Tensor, reach_px: int) -> Tensor:
    """The largest value within reach_px, in a square; two passes cost 2 r where one costs r * r."""
    side = 2 * reach_px + 1
    rows = functional.max_pool2d(image, (side, 1), stride=1, padding=(reach_px, 0))
    return functional.max_pool2d(rows, (1, side), stride=1, padding=(0, reach_px))
