"""Random streams that depend on what is made, never on who makes it."""

import hashlib

import numpy as np

__all__ = ["rng_for"]


def rng_for(seed: int, stage: str, split: str, index: int) -> np.random.Generator:
    """The generator of one unit of work.

    The stream is a function of the four arguments alone, so that image `index` is the same whatever
    the number of workers, the order of work or earlier interruptions.
    """
    key = f"{seed}\x1f{stage}\x1f{split}\x1f{index}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:16], "little"))
