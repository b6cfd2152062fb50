"""Decoded crops and belts, kept while there is room for them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.belt import BeltPixels, BeltView, fit_pixels
from garbage_synth.composite.cutout import CropFacts, CropLevel, reduce
from garbage_synth.core.types import Background, Crop

__all__ = ["CachedAssets", "CropReader", "PhotoReader"]

CACHE_BYTES = 512 * 2**20  # per process; a 300 x 300 crop takes 0.4 MB

CropReader = Callable[[Crop], tuple[NDArray[np.uint8], NDArray[np.bool_] | None]]
"""RGBA uint8 (h, w, 4) of a crop, and its silhouette bool (h, w) where it has a `_mask.png`."""

PhotoReader = Callable[[Background], NDArray[np.uint8]]
"""RGB uint8 (h, w, 3) of a belt picture."""


class CachedAssets:
    """The `render.Assets` of a catalogue: pixels are read when they are first asked for, the least recently used ones
    are forgotten beyond CACHE_BYTES."""

    def __init__(
        self,
        facts: Mapping[str, CropFacts],
        views: Mapping[str, BeltView],
        read_crop: CropReader,
        read_photo: PhotoReader,
    ) -> None:
        self._facts, self._views = facts, views
        self._read_crop, self._read_photo = read_crop, read_photo
        self._kept: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def facts(self, crop_id: str) -> CropFacts:
        """What is known of a crop."""
        return self._facts[crop_id]

    def level(self, crop_id: str, level: int) -> CropLevel:
        """The pixels of a crop at 1 / 2**level of its size."""
        kept = self._kept.get((crop_id, level))
        if kept is not None:
            self._kept.move_to_end((crop_id, level))
            found: CropLevel = kept[0]
            return found
        pixels = reduce(*self._read_crop(self._facts[crop_id].crop), level)
        size = pixels.rgba.nbytes + (0 if pixels.silhouette is None else pixels.silhouette.nbytes)
        self._keep((crop_id, level), pixels, size)
        return pixels

    def belt(self, background_id: str, size_wh: tuple[int, int]) -> BeltPixels:
        """The pixels of a belt in the frame of its view, which must be size_wh."""
        kept = self._kept.get(background_id)
        if kept is not None:
            self._kept.move_to_end(background_id)
            found: BeltPixels = kept[0]
            return found
        view = self._views[background_id]
        if view.size_wh != tuple(size_wh):
            raise ValueError(f"belt {background_id} was fitted to {view.size_wh}, the scene asks for {size_wh}")
        pixels = fit_pixels(self._read_photo(view.background), view)
        self._keep(background_id, pixels, pixels.image_rgb.nbytes)
        return pixels

    def _keep(self, key: Any, pixels: CropLevel | BeltPixels, size: int) -> None:
        self._kept[key] = (pixels, size)
        self._bytes += size
        while self._bytes > CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1]
