"""One picture of any size through a generator."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Translator", "pad_to_multiple"]

_MULTIPLE = 4  # a generator halves its picture twice
_MIN_SIDE_PX = 16  # its residual blocks mirror their border, which takes some pixels at a quarter of the size


class Translator:
    """Callable: RGB uint8 (h, w, 3) -> RGB uint8 (h, w, 3), the whole frame at once, any h and w from 1.

    network: float (1, 3, h, w) in [-1, 1] -> the same, for sides that are multiples of 4; it is taken over and moved.
    half: compute in bfloat16 (weights and activations), else in float32.
    resized: what is done before and undone after: (to the trained size, back to a (width, height)), None = nothing.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device,
        half: bool,
        resize_in: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
        resize_back: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]] | None = None,
    ) -> None:
        self._dtype = torch.bfloat16 if half else torch.float32
        # channels_last is what a GPU's tensor cores want; on a CPU it was measured to cost 15 %
        self._layout = torch.channels_last if half and device.type == "cuda" else torch.contiguous_format
        self._device = device
        self._resize_in, self._resize_back = resize_in, resize_back
        network = network.requires_grad_(False).eval()
        # Module.to knows memory_format, its type stub does not
        self._network: nn.Module = network.to(device, self._dtype, memory_format=self._layout)  # type: ignore[call-overload]

    def __call__(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The translated picture, of the same size."""
        height, width = image_rgb.shape[:2]
        if self._resize_in is None or self._resize_back is None:
            return self._translate(image_rgb)
        return self._resize_back(self._translate(self._resize_in(image_rgb)), (width, height))

    @torch.inference_mode()
    def _translate(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = image_rgb.shape[:2]
        levels = torch.from_numpy(pad_to_multiple(image_rgb)).to(self._device)
        signed = (levels.permute(2, 0, 1)[None].float() / 127.5 - 1.0).to(self._dtype)
        translated: Tensor = self._network(signed.contiguous(memory_format=self._layout))
        back = ((translated[0, :, :height, :width].float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        result: NDArray[np.uint8] = back.permute(1, 2, 0).contiguous().cpu().numpy()
        return result


def pad_to_multiple(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture mirrored at its right and lower border until both sides are multiples of 4 and at least 16."""
    height, width = image_rgb.shape[:2]
    missing = [max(_MIN_SIDE_PX, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (height, width)]
    if missing == [0, 0]:
        return np.ascontiguousarray(image_rgb)
    return np.pad(image_rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
