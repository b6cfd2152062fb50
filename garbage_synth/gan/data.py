"""Random crops of two unpaired sets of pictures, the same for a step whoever asks for it and whenever.

Which pictures a step sees, where they are cut and whether they are mirrored follows from (seed, domain, sample index)
alone; matched crops of the real domain follow their synthetic partner too, which is the same sample. A resumed training
therefore needs no more than its step to go on with the very same data.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from garbage_synth.core.progress import Progress
from garbage_synth.core.rng import rng_for
from garbage_synth.errors import InputError
from garbage_synth.gan.occupancy import foreground, share_in

__all__ = [
    "Batch",
    "CropStream",
    "Crops",
    "Cut",
    "Domain",
    "centre_crops",
    "stream_batches",
]

Reader = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops of one step, uint8 (b, 3, crop, crop) on the CPU.

    classes: uint8 (b, crop, crop), cut as `synthetic`: 0 = belt, k = an item of the k-th category; None without labels.
    """

    synthetic: Tensor
    real: Tensor
    classes: Tensor | None = None


class Domain:
    """The pictures of one domain; those that fit into `cache_bytes` stay decoded in memory, with their class maps.

    read: path -> RGB uint8 (h, w, 3), already at the size it is to be trained at. labels: path -> class map, uint8
    (h, w) of its picture's size, 0 = belt, k = an item of the k-th category; None without labels.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        read: Reader,
        *,
        cache_bytes: int,
        labels: Reader | None = None,
    ) -> None:
        self.name = name
        self.paths = tuple(paths)
        self.labels = labels
        self._read = read
        self._free_bytes = cache_bytes
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        self._classes: dict[int, NDArray[np.uint8]] = {}
        self._covered: dict[int, NDArray[np.bool_]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Picture `index`, RGB uint8 (h, w, 3). Raises what `read` raises."""
        return self._cached(self._pictures, index, self._read)

    def classes(self, index: int) -> NDArray[np.uint8] | None:
        """The class map of picture `index`, uint8 (h, w), None without labels. Raises what `labels` raises."""
        return None if self.labels is None else self._cached(self._classes, index, self.labels)

    def covered(self, index: int, picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where picture `index` seems to hold items, from its pixels alone (`occupancy.foreground`), always kept.

        picture: the picture itself, which is at hand: an uncached one would be decoded again.
        """
        if index not in self._covered:
            self._covered[index] = foreground(picture)
        return self._covered[index]

    def check(self, *, threads: int, progress: Progress) -> list[tuple[int, int]]:
        """(width, height) of every picture, each decoded once: a bad file is found now, not at midnight.

        Raises what the reading raises, and InputError where a class map has not the size of its picture.
        """
        sizes: list[tuple[int, int]] = []
        with ThreadPoolExecutor(threads) as pool:
            try:
                for height, width in pool.map(self._checked_shape, range(len(self))):
                    sizes.append((width, height))
                    progress.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return sizes

    def _checked_shape(self, index: int) -> tuple[int, int]:
        height, width = self.picture(index).shape[:2]
        classes = self.classes(index)
        if classes is not None and classes.shape != (height, width):
            raise InputError(
                f"{self.paths[index]} is a picture of {width}x{height}, its labels are for "
                f"{classes.shape[1]}x{classes.shape[0]}; validate the dataset"
            )
        return height, width

    def _cached(self, cache: dict[int, NDArray[np.uint8]], index: int, read: Reader) -> NDArray[np.uint8]:
        cached = cache.get(index)
        if cached is not None:
            return cached
        loaded = read(self.paths[index])
        with self._lock:
            if index not in cache and loaded.nbytes <= self._free_bytes:
                cache[index] = loaded
                self._free_bytes -= loaded.nbytes
        return loaded


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a square crop lies in its picture, and whether it is mirrored left to right."""

    top: int
    left: int
    side: int
    mirrored: bool

    @classmethod
    def draw(cls, size_hw: Sequence[int], side: int, rng: np.random.Generator, *, flip: bool) -> "Cut":
        """A random cut of a picture; all places are equally likely."""
        height, width = (max(length, side) for length in size_hw)
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        return cls(top, left, side, flip and bool(rng.random() < 0.5))

    @classmethod
    def centre(cls, size_hw: Sequence[int], side: int) -> "Cut":
        """The middle of a picture, not mirrored."""
        height, width = (max(length, side) for length in size_hw)
        return cls((height - side) // 2, (width - side) // 2, side, False)

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The square (side, side, ...) of (h, w, ...) at native scale; what is smaller is mirrored at its borders."""
        filled = _at_least(pixels, self.side)
        piece = filled[self.top : self.top + self.side, self.left : self.left + self.side]
        return piece[:, ::-1] if self.mirrored else piece

    def share(self, covered: NDArray[np.bool_], size_hw: Sequence[int]) -> float:
        """The share of a map of the whole picture, of any resolution, that is set in the cut, without what is mirrored
        to fill it."""
        height, width = size_hw
        bottom, right = min(self.top + self.side, height), min(self.left + self.side, width)
        return share_in(covered, (self.left / width, self.top / height, right / width, bottom / height))


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of one domain: images uint8 (b, 3, crop, crop), classes uint8 (b, crop, crop) or None without labels.

    occupancy: the share of each crop that items cover (0..1), by its labels or, without any, by its looks; empty where
    it was not asked for.
    """

    images: Tensor
    classes: Tensor | None
    occupancy: tuple[float, ...]


class CropStream:
    """Random crops of one domain by step."""

    def __init__(self, domain: Domain, *, crop: int, batch: int, flip: bool, seed: int) -> None:
        self.domain = domain
        self._crop = crop
        self._batch = batch
        self._flip = flip
        self._seed = seed

    def crops(
        self, step: int, *, measured: bool = False, match: Sequence[float] | None = None, candidates: int = 1
    ) -> Crops:
        """The crops of a step. Every picture comes once per pass, in an order that changes with each pass.

        measured: tell how much of each crop items cover. match: wanted shares, one for each crop: of `candidates` cuts
        of the picture the one nearest to it is taken.
        """
        images, classes, shares = [], [], []
        for place, sample in enumerate(range(step * self._batch, (step + 1) * self._batch)):
            index = self._picture_of(sample)
            picture, labels = self.domain.picture(index), self.domain.classes(index)
            share = partial(self._share, index, picture, labels)
            rng = rng_for(self._seed, "train-gan.crop", self.domain.name, sample)
            cut = Cut.draw(picture.shape[:2], self._crop, rng, flip=self._flip)
            if match is not None:
                others = [Cut.draw(picture.shape[:2], self._crop, rng, flip=self._flip) for _ in range(candidates - 1)]
                wanted = match[place]
                cut = min((cut, *others), key=lambda own: abs(share(own) - wanted))
            images.append(_to_tensor(cut.of(picture)))
            if labels is not None:
                classes.append(torch.from_numpy(np.ascontiguousarray(cut.of(labels))))
            if measured:
                shares.append(share(cut))
        return Crops(torch.stack(images), torch.stack(classes) if classes else None, tuple(shares))

    def _share(self, index: int, picture: NDArray[np.uint8], labels: NDArray[np.uint8] | None, cut: Cut) -> float:
        """How much of a cut items cover, by its labels or, without any, by its looks (0..1)."""
        if labels is not None:
            return float((cut.of(labels) > 0).mean())
        return cut.share(self.domain.covered(index, picture), picture.shape[:2])

    def _picture_of(self, sample: int) -> int:
        epoch, place = divmod(sample, len(self.domain))
        order = rng_for(self._seed, "train-gan.order", self.domain.name, epoch).permutation(len(self.domain))
        return int(order[place])


def centre_crops(domain: Domain, *, crop: int, count: int) -> Tensor:
    """The middles of up to `count` pictures spread evenly over the domain, uint8 (n, 3, crop, crop): for samples."""
    indices = np.unique(np.linspace(0, len(domain) - 1, count).round().astype(int)).tolist()
    pictures = [domain.picture(index) for index in indices]
    return torch.stack([_to_tensor(Cut.centre(picture.shape[:2], crop).of(picture)) for picture in pictures])


def stream_batches(
    synthetic: CropStream,
    real: CropStream,
    steps: range,
    *,
    threads: int,
    candidates: int = 1,
    pin_memory: bool = False,
) -> Generator[Batch]:
    """The batches of `steps` in order, prepared ahead by `threads` threads.

    In a team, whose processes take turns, the steps of one process are every n-th. candidates: cuts of a real picture
    of which the one that holds as much of items as its synthetic partner is taken; 1 = the first, whatever it holds.
    pin_memory: for a copy beside GPU work.
    """

    def prepare(step: int) -> Batch:
        matched = candidates > 1
        drawn = synthetic.crops(step, measured=matched)
        partner = real.crops(step, match=drawn.occupancy if matched else None, candidates=candidates)
        batch = Batch(drawn.images, partner.images, drawn.classes)
        return _pinned(batch) if pin_memory else batch

    with ThreadPoolExecutor(threads, thread_name_prefix="crops") as pool:
        waiting: list[Future[Batch]] = [pool.submit(prepare, step) for step in steps[: 2 * threads]]
        try:
            for following in chain(steps[2 * threads :], repeat(None, len(waiting))):
                batch = waiting.pop(0).result()
                if following is not None:
                    waiting.append(pool.submit(prepare, following))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def _pinned(batch: Batch) -> Batch:
    classes = None if batch.classes is None else batch.classes.pin_memory()
    return Batch(batch.synthetic.pin_memory(), batch.real.pin_memory(), classes)


def _at_least(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture, mirrored at its right and lower border where it is smaller than `side`; one pixel is repeated."""
    height, width = pixels.shape[:2]
    if height >= side and width >= side:
        return pixels
    none = [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, [(0, max(0, side - height)), (0, max(0, side - width)), *none], mode="reflect")


def _to_tensor(image_rgb: NDArray[np.uint8]) -> Tensor:
    """uint8 (h, w, 3) -> (3, h, w), copied: the source may be a view of the cache."""
    return torch.from_numpy(np.ascontiguousarray(image_rgb.transpose(2, 0, 1)))
