"""The pool of earlier translated pictures that a discriminator is shown (paper, section 4, after SimGAN)."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["ImagePool"]


class ImagePool:
    """Up to `size` pictures on the device where they were made.

    Until it is full, a picture is kept and handed on. Then, with probability one half, an earlier picture is handed
    out and the new one takes its place; otherwise the new one is handed on and not kept. size 0 hands everything on.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pictures: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._pictures)

    def exchange(self, pictures: Tensor, rng: np.random.Generator) -> Tensor:
        """A batch of the same shape (b, 3, h, w) for the discriminator: new pictures and earlier ones."""
        if self._size == 0:
            return pictures
        chosen: list[Tensor] = []
        for picture in pictures.detach():
            if len(self._pictures) < self._size:
                self._pictures.append(picture.clone())
            elif rng.random() < 0.5:
                place = int(rng.integers(self._size))
                picture, self._pictures[place] = self._pictures[place], picture.clone()
            chosen.append(picture)
        return torch.stack(chosen)

    def state(self) -> list[Tensor]:
        """The kept pictures in order, on the CPU."""
        return [picture.cpu() for picture in self._pictures]

    def restore(self, pictures: list[Tensor], device: torch.device) -> None:
        """Take up the pictures of `state` again."""
        self._pictures = [picture.to(device) for picture in pictures[: self._size]]
