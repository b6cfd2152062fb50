"""Random crops of two unpaired sets of pictures, the same for a step whoever asks for it and whenever.

Which pictures a step sees, where they are cut and whether they are mirrored follows from (seed, domain, sample index)
alone. A resumed training therefore needs no more than its step to go on with the very same data.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from garbage_synth.core.progress import Progress
from garbage_synth.core.rng import rng_for

__all__ = ["Batch", "CropStream", "Domain", "centre_crops", "random_crop", "stream_batches"]

Reader = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops of one step, uint8 (b, 3, crop, crop) on the CPU."""

    synthetic: Tensor
    real: Tensor


class Domain:
    """The pictures of one domain; those that fit into `cache_bytes` stay decoded in memory.

    read: path -> RGB uint8 (h, w, 3), already at the size it is to be trained at.
    """

    def __init__(self, name: str, paths: Sequence[Path], read: Reader, *, cache_bytes: int) -> None:
        self.name = name
        self.paths = tuple(paths)
        self._read = read
        self._free_bytes = cache_bytes
        self._cache: dict[int, NDArray[np.uint8]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Picture `index`, RGB uint8 (h, w, 3). Raises what `read` raises."""
        cached = self._cache.get(index)
        if cached is not None:
            return cached
        picture = self._read(self.paths[index])
        with self._lock:
            if index not in self._cache and picture.nbytes <= self._free_bytes:
                self._cache[index] = picture
                self._free_bytes -= picture.nbytes
        return picture

    def check(self, *, threads: int, progress: Progress) -> list[tuple[int, int]]:
        """(width, height) of every picture, each decoded once: a bad file is found now, not at midnight."""
        sizes: list[tuple[int, int]] = []
        with ThreadPoolExecutor(threads) as pool:
            try:
                for height, width, _ in pool.map(lambda index: self.picture(index).shape, range(len(self))):
                    sizes.append((width, height))
                    progress.advance()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return sizes


class CropStream:
    """Random crops of one domain by step."""

    def __init__(self, domain: Domain, *, crop: int, batch: int, flip: bool, seed: int) -> None:
        self.domain = domain
        self._crop = crop
        self._batch = batch
        self._flip = flip
        self._seed = seed

    def crops(self, step: int) -> Tensor:
        """uint8 (batch, 3, crop, crop). Every picture comes once per pass, in an order that changes with each pass."""
        samples = range(step * self._batch, (step + 1) * self._batch)
        return torch.stack([_to_tensor(self._sample(sample)) for sample in samples])

    def _sample(self, sample: int) -> NDArray[np.uint8]:
        epoch, place = divmod(sample, len(self.domain))
        order = rng_for(self._seed, "train-gan.order", self.domain.name, epoch).permutation(len(self.domain))
        rng = rng_for(self._seed, "train-gan.crop", self.domain.name, sample)
        return random_crop(self.domain.picture(int(order[place])), self._crop, rng, flip=self._flip)


def random_crop(image_rgb: NDArray[np.uint8], crop: int, rng: np.random.Generator, *, flip: bool) -> NDArray[np.uint8]:
    """A square cut-out (crop, crop, 3) at native scale; a smaller picture is mirrored at its borders first."""
    image_rgb = _at_least(image_rgb, crop)
    height, width = image_rgb.shape[:2]
    top, left = int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1))
    piece = image_rgb[top : top + crop, left : left + crop]
    return piece[:, ::-1] if flip and rng.random() < 0.5 else piece


def centre_crops(domain: Domain, *, crop: int, count: int) -> Tensor:
    """The middles of up to `count` pictures spread evenly over the domain, uint8 (n, 3, crop, crop): for samples."""
    indices = np.unique(np.linspace(0, len(domain) - 1, count).round().astype(int))
    pieces = []
    for index in indices:
        image_rgb = _at_least(domain.picture(int(index)), crop)
        top, left = (image_rgb.shape[0] - crop) // 2, (image_rgb.shape[1] - crop) // 2
        pieces.append(_to_tensor(image_rgb[top : top + crop, left : left + crop]))
    return torch.stack(pieces)


def stream_batches(
    synthetic: CropStream, real: CropStream, steps: range, *, threads: int, pin_memory: bool = False
) -> Generator[Batch]:
    """The batches of `steps` in order, prepared ahead by `threads` threads. pin_memory: for a copy beside GPU work.

    In a team, whose processes take turns, the steps of one process are every n-th.
    """

    def prepare(step: int) -> Batch:
        batch = Batch(synthetic.crops(step), real.crops(step))
        return Batch(batch.synthetic.pin_memory(), batch.real.pin_memory()) if pin_memory else batch

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


def _at_least(image_rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture, mirrored at its right and lower border where it is smaller than `side`; one pixel is repeated."""
    height, width = image_rgb.shape[:2]
    if height >= side and width >= side:
        return image_rgb
    return np.pad(image_rgb, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="reflect")


def _to_tensor(image_rgb: NDArray[np.uint8]) -> Tensor:
    """uint8 (h, w, 3) -> (3, h, w), copied: the source may be a view of the cache."""
    return torch.from_numpy(np.ascontiguousarray(image_rgb.transpose(2, 0, 1)))
