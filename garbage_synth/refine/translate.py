"""One picture of any size through a generator."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.refine.tiles import walk

__all__ = ["Translator", "pad_to_multiple"]

_MULTIPLE = 4  # a generator halves its picture twice
_MIN_SIDE_PX = 16  # its residual blocks mirror their border, which takes some pixels at a quarter of the size


class Translator:
    """Callable: RGB uint8 (h, w, 3), any h and w from 1 -> the same rewritten, and how far things in it moved.

    The second is float32 (h, w, 2), (right, down) in pixels of this very picture: what is at p after was at p + it
    before; None where the network does not tell.

    network: its with_displacement gives, for float32 (1, 3, h, w) in [-1, 1] with sides that are multiples of 4, the
    same translated and None or float32 (1, 2, h, w); it is taken over and moved.
    half: compute in bfloat16 (weights and activations), else in float32. band_rows: (width, height) -> the rows of the
    bands that a picture of this size is computed in (see `tiles.walk`, also for the networks it takes), None = the
    whole frame at once; None for all.
    resized: what is done before and undone after: (to the trained size, back to a (width, height)), None = nothing.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device,
        half: bool,
        band_rows: Callable[[tuple[int, int]], int | None] | None = None,
        resize_in: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
        resize_back: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]] | None = None,
    ) -> None:
        self._dtype = torch.bfloat16 if half else torch.float32
        # channels_last is what a GPU's tensor cores want; on a CPU it was measured to cost 15 %
        self._layout = torch.channels_last if half and device.type == "cuda" else torch.contiguous_format
        self._device, self._band_rows = device, band_rows
        self._resize_in, self._resize_back = resize_in, resize_back
        network = network.requires_grad_(False).eval()
        # Module.to knows memory_format, its type stub does not
        self._network: Any = network.to(device, self._dtype, memory_format=self._layout)  # type: ignore[call-overload]

    def __call__(self, image_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """The translated picture, of the same size, and its displacement."""
        height, width = image_rgb.shape[:2]
        if self._resize_in is None or self._resize_back is None:
            return self._translate(image_rgb)
        translated, displacement = self._translate(self._resize_in(image_rgb))
        if displacement is not None:
            displacement = _enlarged(displacement, (width, height))
        return self._resize_back(translated, (width, height)), displacement

    @torch.inference_mode()
    def _translate(self, image_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        height, width = image_rgb.shape[:2]
        padded = pad_to_multiple(image_rgb)

        def read(top: int, bottom: int) -> Tensor:
            levels = torch.from_numpy(padded[top:bottom]).to(self._device)
            signed = levels.permute(2, 0, 1)[None].float() / 127.5 - 1.0
            return signed.contiguous(memory_format=self._layout)

        rows = None if self._band_rows is None else self._band_rows((width, height))
        bands: Iterable[tuple[int, int, Tensor, Tensor | None]]
        if rows is None:
            bands = [(0, len(padded), *self._network.with_displacement(read(0, len(padded))))]
        else:
            bands = walk(self._network, read, padded.shape[:2], rows)
        translated = np.empty_like(padded)
        displacement: NDArray[np.float32] | None = None
        for top, bottom, band, u in bands:
            translated[top:bottom] = _to_levels(band)
            if u is not None:
                if displacement is None:
                    displacement = np.empty((*padded.shape[:2], 2), np.float32)
                displacement[top:bottom] = u[0].permute(1, 2, 0).cpu().numpy()
        cropped = np.ascontiguousarray(translated[:height, :width])
        return cropped, None if displacement is None else displacement[:height, :width]


def _enlarged(displacement: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """A displacement (h, w, 2) for the picture scaled to size_wh, in pixels of that."""
    height, width = displacement.shape[:2]
    planes = torch.from_numpy(np.ascontiguousarray(displacement)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(planes, size=size_wh[::-1], mode="bilinear", align_corners=False)
    factors = np.array([size_wh[0] / width, size_wh[1] / height], np.float32)
    result: NDArray[np.float32] = scaled[0].permute(1, 2, 0).numpy() * factors
    return result


def _to_levels(signed: Tensor) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) of float (1, 3, h, w) in [-1, 1]."""
    levels = ((signed[0].float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
    result: NDArray[np.uint8] = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return result


def pad_to_multiple(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture mirrored at its right and lower border until both sides are multiples of 4 and at least 16."""
    height, width = image_rgb.shape[:2]
    missing = [max(_MIN_SIDE_PX, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (height, width)]
    if missing == [0, 0]:
        return np.ascontiguousarray(image_rgb)
    return np.pad(image_rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
