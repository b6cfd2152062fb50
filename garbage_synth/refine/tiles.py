"""A picture through a generator in bands of rows: what the whole frame gives, in a fraction of the memory.

An instance norm needs the mean and the variance of a whole map before it can normalise the first pixel of it. So the
map before each norm is computed once band by band for its moments, each band from the rows above and below it that its
convolutions reach; zeros and mirrored rows stand at the borders of the frame only. Maps are kept where the network is
narrowest, in the residual blocks (two are alive, each with a quarter of the bytes of a full-size map); the few wide
layers before and after are computed again whenever their rows are needed, an eighth more arithmetic for a ResNet-9.

A generator that deforms its picture has two heads on the map after the residual blocks. The grid of its displacement is
tiny and computed from the whole of it; the rows of the displacement, and the rows of the picture that it reaches, are
computed and read for each band of the result.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.errors import InputError

__all__ = ["Warping", "walk"]


@runtime_checkable
class Warping(Protocol):
    """A generator that deforms its picture and adds to it: the parts that it is computed in bands from."""

    trunk: nn.Sequential
    residual_head: nn.Sequential
    warp_max_px: float

    def grid(self, features: Tensor) -> Tensor | None:
        """The control points of the displacement, of all that the trunk gives; None where there is none."""

    def displacement(self, grid: Tensor, size_hw: tuple[int, int], top: int, bottom: int) -> Tensor:
        """Rows top to bottom of the displacement of a picture of size_hw, float32 (1, 2, bottom - top, w) in pixels."""

    def moved(self, image: Tensor, u: Tensor | None, above: int) -> Tensor:
        """The rows of the picture as they are displaced, given with `above` more above them."""

    def compose(self, image: Tensor, u: Tensor | None, head: Tensor, above: int) -> Tensor:
        """The translated rows, of their displacement, the rows of the residual head, and those of the picture with
        `above` more above them."""


def walk(
    network: nn.Module, read: Callable[[int, int], Tensor], size_hw: tuple[int, int], rows: int
) -> Iterator[tuple[int, int, Tensor, Tensor | None]]:
    """(top, bottom, translated rows, their displacement) of each band of a picture of size_hw, downwards.

    The translated rows are float32 (1, c, bottom - top, w), nominally in [-1, 1], of tanh(network.body(picture)) or of
    a `Warping` network; the displacement is float32 (1, 2, bottom - top, w) in pixels, or None where there is none.

    network: its `body` (or `trunk` and `residual_head`) is a sequence of Conv2d, ConvTranspose2d, InstanceNorm2d, ReLU,
    ReflectionPad2d and residual blocks, which are modules with nothing but a `body` of the same kind: x + body(x).
    read(top, bottom): these rows of the picture, float32 (1, c, bottom - top, w), on the network's device; asked
    several times for each row. rows: height of a band; the result depends on it in its last bits only.

    Raises InputError for a layer of another kind, before the first band.
    """
    height = size_hw[0]
    bands = -(-height // rows)
    dtype = next((parameter.dtype for parameter in network.parameters()), torch.float32)
    picture = _Rows(height, lambda top, bottom: read(top, bottom).to(dtype))
    if not isinstance(network, Warping):
        layers = _layers(network)
        result = _Walk(bands, deepest=min(_heights(layers, height))).through(layers, picture)
        for top, bottom in _split(result.height, bands):
            yield top, bottom, torch.tanh(result.get(top, bottom).float()), None
        return
    trunk, head = _checked(network.trunk), _checked(network.residual_head)
    walking = _Walk(bands, deepest=min(_heights(trunk, height)))
    features = walking.through(trunk, picture)
    grid = network.grid(features.get(0, features.height))
    residual = walking.through(head, features)
    reach = math.ceil(network.warp_max_px) + 1
    for top, bottom in _split(height, bands):
        u = None if grid is None else network.displacement(grid, size_hw, top, bottom)
        first, last = max(top - reach, 0), min(bottom + reach, height)
        image = read(top, bottom) if u is None else read(first, last)
        yield top, bottom, network.compose(image, u, residual.get(top, bottom), 0 if u is None else top - first), u


@dataclass(frozen=True, slots=True)
class _Rows:
    """A map (1, c, height, w) of which rows are computed when they are asked for.

    get(top, bottom): (1, c, bottom - top, w). store: the kept map they are computed from, where nothing else needs it
    any longer and it may be overwritten; reach: how many rows of it above and below they may depend on.
    """

    height: int
    get: Callable[[int, int], Tensor]
    store: Tensor | None = None
    reach: int = 0


class _Walk:
    """Layers applied to rows. A norm computes the map before it in bands, and keeps it if of the height `deepest`."""

    def __init__(self, bands: int, deepest: int) -> None:
        self._bands, self._deepest = bands, deepest

    def through(self, layers: Iterable[nn.Module], rows: _Rows) -> _Rows:
        for layer in layers:
            if isinstance(layer, nn.InstanceNorm2d):
                rows = self._normalised(layer, rows)
            elif isinstance(layer, nn.ReLU):
                rows = _pointwise(torch.relu, rows)
            elif isinstance(layer, nn.ReflectionPad2d):
                rows = _mirrored(layer, rows)
            elif isinstance(layer, nn.Conv2d):
                rows = _convolved(layer, rows)
            elif isinstance(layer, nn.ConvTranspose2d):
                rows = _enlarged(layer, rows)
            else:
                rows = self._summed(layer, rows)
        return rows

    def _normalised(self, layer: nn.InstanceNorm2d, rows: _Rows) -> _Rows:
        moments = _Moments()
        if rows.height == self._deepest:
            rows = self._kept(rows, moments.add)
        else:
            for top, bottom in _split(rows.height, self._bands):
                moments.add(rows.get(top, bottom))
        mean, variance = moments.mean.float(), moments.variance.float()

        def normalise(band: Tensor) -> Tensor:
            return functional.batch_norm(band, mean, variance, layer.weight, layer.bias, eps=layer.eps)

        return _pointwise(normalise, rows)

    def _summed(self, block: nn.Module, rows: _Rows) -> _Rows:
        trunk = self._kept(rows)
        branch = self.through(_layers(block), replace(trunk, store=None))

        def total(top: int, bottom: int) -> Tensor:
            return trunk.get(top, bottom) + branch.get(top, bottom)

        return self._kept(replace(trunk, get=total))

    def _kept(self, rows: _Rows, look: Callable[[Tensor], None] = lambda band: None) -> _Rows:
        """The rows computed, looked at and kept, where they can in the place of the map they are computed from."""
        (top, bottom), *others = _split(rows.height, self._bands)
        waiting = rows.get(top, bottom)
        look(waiting)
        shape = (1, waiting.shape[1], rows.height, waiting.shape[3])
        reusable = rows.store is not None and rows.store.shape == shape and rows.reach <= bottom
        kept = rows.store if rows.store is not None and reusable else waiting.new_empty(shape)
        for following in others:
            band = rows.get(*following)
            look(band)
            kept[:, :, top:bottom] = waiting  # not before now: the next band may reach into the old rows of this one
            (top, bottom), waiting = following, band
        kept[:, :, top:bottom] = waiting
        return _Rows(rows.height, lambda top, bottom: kept[:, :, top:bottom], kept)


class _Moments:
    """Mean and variance per channel of bands (1, c, rows, w), as of the one map they make up: float64 (c,)."""

    def __init__(self) -> None:
        self._count = 0
        self._squares: Tensor | float = 0.0  # sums of squared distances from the mean
        self._mean: Tensor | float = 0.0

    @property
    def mean(self) -> Tensor:
        return torch.as_tensor(self._mean)

    @property
    def variance(self) -> Tensor:
        return torch.as_tensor(self._squares / self._count)

    def add(self, band: Tensor) -> None:
        band = band.float()
        mean = band.mean((0, 2, 3), keepdim=True)
        squares = torch.linalg.vector_norm(band - mean, dim=(0, 2, 3)).double() ** 2  # var_mean takes 7 times as long
        count = band.shape[2] * band.shape[3]
        total = self._count + count
        step = mean.flatten().double() - self._mean
        self._mean = self._mean + step * (count / total)
        self._squares = self._squares + squares + step**2 * (self._count * count / total)
        self._count = total


def _pointwise(function: Callable[[Tensor], Tensor], rows: _Rows) -> _Rows:
    return replace(rows, get=lambda top, bottom: function(rows.get(top, bottom)))


def _convolved(layer: nn.Conv2d, rows: _Rows) -> _Rows:
    kernel, stride, (padding, across) = layer.kernel_size[0], layer.stride[0], _pair(layer.padding)

    def get(top: int, bottom: int) -> Tensor:
        first, last = top * stride - padding, (bottom - 1) * stride - padding + kernel
        over, under = max(-first, 0), max(last - rows.height, 0)
        inside = rows.get(first + over, last - under)
        if over or under:
            inside = functional.pad(inside, (0, 0, over, under))
        return functional.conv2d(inside, layer.weight, layer.bias, layer.stride, (0, across), 1, layer.groups)

    return replace(rows, height=_height_after(layer, rows.height), get=get, reach=rows.reach + kernel)


def _enlarged(layer: nn.ConvTranspose2d, rows: _Rows) -> _Rows:
    kernel, stride, (padding, across) = layer.kernel_size[0], layer.stride[0], _pair(layer.padding)

    def get(top: int, bottom: int) -> Tensor:
        first = max(-(-(top + padding - kernel + 1) // stride), 0)  # of the rows that reach the top one
        last = min((bottom - 1 + padding) // stride + 1, rows.height)
        made = functional.conv_transpose2d(
            rows.get(first, last),
            layer.weight,
            layer.bias,
            layer.stride,
            (0, across),
            (0, layer.output_padding[1]),
            layer.groups,
        )
        skipped = top + padding - first * stride
        return made[:, :, skipped : skipped + bottom - top]

    return replace(rows, height=_height_after(layer, rows.height), get=get, reach=rows.reach + kernel)


def _mirrored(layer: nn.ReflectionPad2d, rows: _Rows) -> _Rows:
    left, right, above, _ = layer.padding

    def get(top: int, bottom: int) -> Tensor:
        first, last = top - above, bottom - above
        over, under = max(-first, 0), max(last - rows.height, 0)
        start = min(max(first, 0), rows.height - 1 - under)  # a mirror of n rows takes n + 1
        stop = max(min(last, rows.height), over + 1)
        padded = functional.pad(rows.get(start, stop), (left, right, over, under), mode="reflect")
        skipped = first - (start - over)
        return padded[:, :, skipped : skipped + bottom - top]

    return replace(rows, height=_height_after(layer, rows.height), get=get, reach=rows.reach + above)


def _split(height: int, bands: int) -> Iterator[tuple[int, int]]:
    step = -(-height // bands)
    return ((top, min(top + step, height)) for top in range(0, height, step))


def _layers(module: nn.Module) -> list[nn.Module]:
    """The layers of `module.body`, each of a kind that can be walked."""
    children = dict(module.named_children())
    body = children.get("body")
    if not isinstance(body, nn.Sequential) or len(children) != 1:
        raise InputError(f"a generator with the part {module} cannot be computed in bands; raise --max-memory")
    return _checked(body)


def _checked(layers: nn.Sequential) -> list[nn.Module]:
    for layer in layers:
        if not _can_be_walked(layer):
            _layers(layer)
    return list(layers)


def _can_be_walked(layer: nn.Module) -> bool:
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.dilation == (1, 1) and layer.output_padding[0] <= _pair(layer.padding)[0]
    if isinstance(layer, nn.Conv2d):
        return layer.dilation == (1, 1) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, nn.InstanceNorm2d):
        return not layer.track_running_stats
    return isinstance(layer, nn.ReLU | nn.ReflectionPad2d)


def _height_after(layer: nn.Module, height: int) -> int:
    if isinstance(layer, nn.Conv2d):
        return (height + 2 * _pair(layer.padding)[0] - layer.kernel_size[0]) // layer.stride[0] + 1
    if isinstance(layer, nn.ConvTranspose2d):
        more = layer.kernel_size[0] - 2 * _pair(layer.padding)[0] + layer.output_padding[0]
        return (height - 1) * layer.stride[0] + more
    if isinstance(layer, nn.ReflectionPad2d):
        return height + layer.padding[2] + layer.padding[3]
    return height


def _heights(layers: Iterable[nn.Module], height: int) -> Iterator[int]:
    for layer in layers:
        height = _height_after(layer, height)
        yield height


def _pair(padding: str | tuple[int, ...]) -> tuple[int, int]:
    return int(padding[0]), int(padding[1])
