"""How far apart two sets of pictures are, without any downloaded weights.

Sets are uint8 (n, 3, h, w), RGB, all of one size within a set. Nothing here is random: projections, patches and the
extractor's weights come from fixed seeds, so that numbers of different trainings can be compared.
"""

import hashlib

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.gan.pixels import to_signed

__all__ = ["FixedExtractor", "kid", "lab_distance", "sliced_wasserstein"]

_SEED = 20180301
_CHUNK = 8  # pictures computed at once
# Bring means and deviations to about 0 +- 1 on photographs, so that colour and sharpness count alike.
_MEAN_GAIN = 5.0
_FLOOR = 0.01
_USUAL_LOG = -3.5

_PATCH_PX = 7
_PATCHES_PER_PICTURE = 64
_PROJECTIONS = 256
_SMALLEST_LEVEL_PX = 16

_BINS_PER_UNIT = 4  # of Lab
_LAB_RANGES = ((0, 100), (-128, 128), (-128, 128))


class FixedExtractor(nn.Module):
    """A convolutional network with random weights that never change: the same on every machine.

    Four times convolution, ReLU and halving; of each stage every channel's mean over the picture and the logarithm of
    its standard deviation. Half of the filters see edges alone, the others light and colour too: it tells colour,
    contrast, noise and sharpness at four scales, but no objects. Its distances are for comparing trainings with each
    other, never with a published FID or KID.
    """

    channels = (24, 32, 48, 64)

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(_SEED)
        self.stages = nn.ModuleList()
        inputs = 3
        for outputs in self.channels:
            # skip_init: nothing is drawn from torch's own random numbers
            stage = nn.utils.skip_init(  # type: ignore[no-untyped-call]
                nn.Conv2d, inputs, outputs, 3, padding=1, padding_mode="reflect", bias=False
            )
            # Uniform numbers are the same on every machine, normal ones differ in their last bits.
            weight = torch.rand(stage.weight.shape, generator=rng, dtype=torch.float64) * 2 - 1
            weight[::2] -= weight[::2].mean((2, 3), keepdim=True)  # edges
            with torch.no_grad():
                stage.weight.copy_(weight * (6 / (9 * inputs)) ** 0.5)  # He et al. 2015, for ReLU
            self.stages.append(stage)
            inputs = outputs
        self.requires_grad_(False).eval()

    @property
    def hash(self) -> str:
        """The first 8 hexadecimal digits of the sha256 of its weights; part of the name of every number it gives."""
        total = hashlib.sha256()
        for parameter in self.parameters():
            total.update(parameter.cpu().numpy().astype("<f4").tobytes())
        return total.hexdigest()[:8]

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 (n, 3, h, w), sides of at least 16 -> features, float32 (n, 336), on the extractor's device."""
        device = next(self.parameters()).device
        return torch.cat([self._features(to_signed(chunk.to(device))) for chunk in torch.split(pictures, _CHUNK)])

    def _features(self, signed: Tensor) -> Tensor:
        found = []
        for stage in self.stages:
            signed = functional.relu(stage(signed))
            found += [signed.mean((2, 3)) * _MEAN_GAIN, (signed.std((2, 3)) + _FLOOR).log() - _USUAL_LOG]
            signed = functional.avg_pool2d(signed, 2)
        return torch.cat(found, 1)


def kid(features_a: Tensor, features_b: Tensor) -> float:
    """The kernel distance of two sets of features, float (m, d) and (n, d), m and n at least 2.

    The unbiased estimate of the squared maximum mean discrepancy for the kernel (x.y/d + 1)^3 (Binkowski et al. 2018,
    section 4): around 0 for two samples of one distribution, and then as often below 0 as above.
    """
    a, b = features_a.double(), features_b.double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:
        count = len(x)
        table = kernel(x, x)
        return (table.sum() - table.diagonal().sum()) / (count * (count - 1))

    return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def sliced_wasserstein(pictures_a: Tensor, pictures_b: Tensor) -> dict[int, float]:
    """{side of the pyramid level in pixels: sliced Wasserstein distance times 1000}, finest first (Karras et al. 2018,
    section 5); pictures of both sets of one size, sides of at least 16.

    64 patches of 7x7 a picture from every level of a Laplacian pyramid, each set's colour channels brought to mean 0
    and deviation 1, along 256 random directions. It tells sharpness and texture, and is blind to a shift of colour.
    """
    found: dict[int, float] = {}
    count = _PATCHES_PER_PICTURE * min(len(pictures_a), len(pictures_b))
    levels = zip(_laplacian(to_signed(pictures_a)), _laplacian(to_signed(pictures_b)), strict=True)
    for level_a, level_b in levels:
        rng = torch.Generator().manual_seed(_SEED)
        directions = torch.randn(3 * _PATCH_PX**2, _PROJECTIONS, generator=rng)
        directions /= directions.norm(dim=0)
        a, b = (_patches(level, count) @ directions for level in (level_a, level_b))
        distance = (a.sort(dim=0).values - b.sort(dim=0).values).abs().mean()
        found[min(level_a.shape[2:])] = 1000 * float(distance)
    return found


def lab_distance(pictures_a: Tensor, pictures_b: Tensor) -> dict[str, float]:
    """{"L", "a", "b": earth mover's distance between the sets' histograms, in units of CIE Lab}."""
    a, b = (_lab_shares(pictures) for pictures in (pictures_a, pictures_b))
    return {name: float(np.abs(np.cumsum(a[name] - b[name])).sum() / _BINS_PER_UNIT) for name in ("L", "a", "b")}


def _laplacian(gaussian: Tensor) -> list[Tensor]:
    """Differences between a picture and its smoother half, finest first; the last level is what is left."""
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(row, row).expand(3, 1, 5, 5)
    levels: list[Tensor] = []
    while min(gaussian.shape[2:]) >= 2 * _SMALLEST_LEVEL_PX:
        smooth = functional.conv2d(functional.pad(gaussian, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)[
            ..., ::2, ::2
        ]
        back = functional.interpolate(smooth, gaussian.shape[2:], mode="bilinear", align_corners=False)
        levels.append(gaussian - back)
        gaussian = smooth
    return [*levels, gaussian]


def _patches(level: Tensor, count: int) -> Tensor:
    """float (count, 3 * 49): patches at random places, evenly from all pictures, each colour standardised."""
    rng = torch.Generator().manual_seed(_SEED + 1)
    height, width = level.shape[2:]
    pictures = torch.arange(count) % len(level)
    top = torch.randint(height - _PATCH_PX + 1, (count,), generator=rng)
    left = torch.randint(width - _PATCH_PX + 1, (count,), generator=rng)
    reach = torch.arange(_PATCH_PX)
    rows, columns = (top[:, None] + reach)[:, :, None], (left[:, None] + reach)[:, None, :]
    patches = level.permute(0, 2, 3, 1)[pictures[:, None, None], rows, columns]  # (count, 7, 7, 3)
    patches = patches - patches.mean((0, 1, 2))
    return (patches / patches.std((0, 1, 2)).clamp_min(1e-6)).flatten(1)


def _lab_shares(pictures: Tensor) -> dict[str, NDArray[np.float64]]:
    """Histograms over L, a and b that sum to 1."""
    totals = {
        name: np.zeros((high - low) * _BINS_PER_UNIT + 1) for name, (low, high) in zip("Lab", _LAB_RANGES, strict=True)
    }
    for picture in pictures.permute(0, 2, 3, 1).numpy():
        lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        for channel, (name, (low, _)) in enumerate(zip("Lab", _LAB_RANGES, strict=True)):
            bins = np.rint((lab[..., channel] - low) * _BINS_PER_UNIT).astype(np.int64)
            totals[name] += np.bincount(bins.ravel(), minlength=totals[name].size)[: totals[name].size]
    return {name: total / total.sum() for name, total in totals.items()}
