"""One picture of any size through a generator."""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.core.rng import rng_for
from garbage_synth.refine.memory import BAND_PX
from garbage_synth.refine.tiles import walk

__all__ = ["Translator", "pad_to_multiple"]

_MULTIPLE = 4  # a generator halves its picture twice
_MIN_SIDE_PX = 16  # its residual blocks mirror their border, which takes some pixels at a quarter of the size
_LEVEL_PARTS = 64
"""Parts of a level that dither tells apart, a power of 2; float32 arithmetic strays by far less than half of one."""


class Translator:
    """Callable: RGB uint8 (h, w, 3), any h and w from 1 -> the same rewritten, and how far things in it moved.

    The second is float32 (h, w, 2), (right, down) in pixels of this very picture: what is at p after was at p + it
    before; None where the network does not tell.

    network: its with_displacement gives, for float32 (1, 3, h, w) in [-1, 1] with sides that are multiples of 4, the
    same translated and None or float32 (1, 2, h, w); where it does not give None it is a `tiles.Warping`. It is taken
    over and moved.
    half: compute in bfloat16 (weights and activations), else in float32. band_rows: (width, height) -> the rows of the
    bands that a picture of this size is computed in (see `tiles.walk`, also for the networks it takes), None = the
    whole frame at once; None for all.
    resize: to the size that the network was trained at, None = it computes at the picture's own. What the network
    changes in the small picture is scaled up and done to the picture itself: displaced by the scaled u, to which the
    scaled difference G(small) - W(small; u) is added. So detail that the network never saw stays, and the identity
    gives the picture back to the bit.

    Results are rounded with dither: a level and a fraction become the next level as often as the fraction says, by
    noise that is drawn from the picture's own bytes. So a change of less than a level stays one on average; rounded to
    the nearest, it would draw contours on even ground, which the label check takes for something new. Whole levels
    stay as they are. A JPEG rounds chroma anew, more coarsely.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device,
        half: bool,
        band_rows: Callable[[tuple[int, int]], int | None] | None = None,
        resize: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    ) -> None:
        self._dtype = torch.bfloat16 if half else torch.float32
        # channels_last is what a GPU's tensor cores want; on a CPU it was measured to cost 15 %
        self._layout = torch.channels_last if half and device.type == "cuda" else torch.contiguous_format
        self._device, self._band_rows, self._resize = device, band_rows, resize
        network = network.requires_grad_(False).eval()
        # Module.to knows memory_format, its type stub does not
        self._network: Any = network.to(device, self._dtype, memory_format=self._layout)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, image_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """The translated picture, of the same size, and its displacement."""
        small_rgb = image_rgb if self._resize is None else self._resize(image_rgb)
        if small_rgb.shape == image_rgb.shape:
            return self._translate(image_rgb)
        return self._change_at_full_size(image_rgb, small_rgb)

    def _translate(self, image_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        height, width = image_rgb.shape[:2]
        padded = pad_to_multiple(image_rgb)
        thresholds = self._thresholds(image_rgb, padded.shape[:2])
        translated = np.empty_like(padded)
        displacement: NDArray[np.float32] | None = None
        for top, bottom, band, u in self._bands(padded, (width, height)):
            translated[top:bottom] = _to_levels(band, thresholds[:, top:bottom])
            if u is not None:
                if displacement is None:
                    displacement = np.empty((*padded.shape[:2], 2), np.float32)
                displacement[top:bottom] = u[0].permute(1, 2, 0).cpu().numpy()
        cropped = np.ascontiguousarray(translated[:height, :width])
        return cropped, None if displacement is None else displacement[:height, :width]

    def _change_at_full_size(
        self, image_rgb: NDArray[np.uint8], small_rgb: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        height, width = image_rgb.shape[:2]
        change, u = self._change(small_rgb)
        change = functional.interpolate(change, size=(height, width), mode="bicubic", antialias=True)
        u = None if u is None else _enlarged(u, (width, height))
        thresholds = self._thresholds(image_rgb, (height, width))
        changed = np.empty_like(image_rgb)
        for rows, moved in self._moved(image_rgb, u):
            changed[rows] = _to_levels(moved + change[:, :, rows], thresholds[:, rows])
        return changed, None if u is None else u[0].permute(1, 2, 0).cpu().numpy()

    def _change(self, image_rgb: NDArray[np.uint8]) -> tuple[Tensor, Tensor | None]:
        """What the network adds to the displaced picture, float32 (1, 3, h, w), and u (1, 2, h, w) or None."""
        height, width = image_rgb.shape[:2]
        padded = pad_to_multiple(image_rgb)
        bands = list(self._bands(padded, (width, height)))
        change = torch.cat([band for _, _, band, _ in bands], dim=2)
        displacements = [u for *_, u in bands if u is not None]
        displacement = torch.cat(displacements, dim=2) if displacements else None
        for rows, moved in self._moved(padded, displacement):
            change[:, :, rows] -= moved
        return change[:, :, :height, :width], None if displacement is None else displacement[:, :, :height, :width]

    def _moved(self, image_rgb: NDArray[np.uint8], u: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """The picture displaced by u: bands of rows, float32 (1, 3, rows, w) in [-1, 1]."""
        height, width = image_rgb.shape[:2]
        reach = 0 if u is None else math.ceil(float(u[:, 1].abs().max())) + 1
        step = max(1, BAND_PX // width)
        for top in range(0, height, step):
            rows, above = slice(top, min(top + step, height)), min(reach, top)
            image = self._signed(image_rgb[top - above : rows.stop + reach])
            yield rows, image if u is None else self._network.moved(image, u[:, :, rows], above)

    def _bands(
        self, padded: NDArray[np.uint8], size_wh: tuple[int, int]
    ) -> Iterable[tuple[int, int, Tensor, Tensor | None]]:
        """Bands of a translated picture as `tiles.walk` gives them, or one of all its rows."""
        rows = None if self._band_rows is None else self._band_rows(size_wh)
        if rows is None:
            return [(0, len(padded), *self._network.with_displacement(self._signed(padded)))]
        return walk(self._network, lambda top, bottom: self._signed(padded[top:bottom]), padded.shape[:2], rows)

    def _thresholds(self, image_rgb: NDArray[np.uint8], size_hw: tuple[int, int]) -> Tensor:
        """Noise uint8 (3, h, w) of size_hw in 0.._LEVEL_PARTS - 1 on the device, the same for the same picture."""
        rng = rng_for(zlib.crc32(np.ascontiguousarray(image_rgb).data), "refine.dither", "", 0)
        noise = np.frombuffer(rng.bytes(3 * math.prod(size_hw)), np.uint8).reshape(3, *size_hw)
        return torch.from_numpy(noise & (_LEVEL_PARTS - 1)).to(self._device)

    def _signed(self, image_rgb: NDArray[np.uint8]) -> Tensor:
        """float32 (1, 3, h, w) in [-1, 1] on the device."""
        levels = torch.from_numpy(image_rgb).to(self._device)
        signed = levels.permute(2, 0, 1)[None].float() / 127.5 - 1.0
        return signed.contiguous(memory_format=self._layout)


def _enlarged(displacement: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """A displacement (1, 2, h, w) for the picture scaled to size_wh, in pixels of that."""
    height, width = displacement.shape[2:]
    # linear, not cubic: it stays within its bounds, so that nothing folds
    scaled = functional.interpolate(displacement, size=size_wh[::-1], mode="bilinear", align_corners=False)
    scaled[:, 0] *= size_wh[0] / width
    scaled[:, 1] *= size_wh[1] / height
    return scaled


def _to_levels(signed: Tensor, thresholds: Tensor) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) of float (1, 3, h, w) in [-1, 1], dithered by thresholds uint8 (3, h, w)."""
    parts = ((signed[0].float() + 1.0) * (127.5 * _LEVEL_PARTS)).round_()
    levels = parts.add_(thresholds).div_(_LEVEL_PARTS).floor_().clamp_(0, 255).to(torch.uint8)
    result: NDArray[np.uint8] = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return result


def pad_to_multiple(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture mirrored at its right and lower border until both sides are multiples of 4 and at least 16."""
    height, width = image_rgb.shape[:2]
    missing = [max(_MIN_SIDE_PX, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (height, width)]
    if missing == [0, 0]:
        return np.ascontiguousarray(image_rgb)
    return np.pad(image_rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
