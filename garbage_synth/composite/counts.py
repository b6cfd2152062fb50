"""How many items each picture holds and which numbers they have in the sequence of classes, without a shared counter.

Consecutive pictures form blocks. The counts of a block are an even spread over the wanted distribution, shuffled, so
every block holds the same number of items, and the number of the first item of any picture follows from its index.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

__all__ = ["count_of", "is_empty"]

BLOCK = 48  # pictures, at least; about, for it is a multiple of the number of counts


def is_empty(fraction: float, index: int) -> bool:
    """Whether picture `index` is one of the empty ones, which lie evenly among the others."""
    return _empty_before(fraction, index + 1) > _empty_before(fraction, index)


def count_of(
    index: int,
    items: tuple[int, int],
    distribution: Literal["uniform", "poisson"],
    empty_fraction: float,
    seeds: Sequence[int],
) -> tuple[int, int]:
    """(number of items of picture `index`, number of its first item), for a picture that is not empty.

    items: smallest and largest count. seeds: of the shuffling. First numbers are consecutive: the items of pictures
    0..n have the numbers 0.. without a gap.
    """
    spread = _spread(items, distribution)
    block, slot = divmod(index - _empty_before(empty_fraction, index), len(spread))
    counts = np.random.default_rng([*seeds, block]).permutation(spread)
    return int(counts[slot]), block * sum(spread) + int(counts[:slot].sum())


def _empty_before(fraction: float, index: int) -> int:
    return math.floor(index * fraction + 1e-9)


@lru_cache(maxsize=16)
def _spread(items: tuple[int, int], distribution: str) -> tuple[int, ...]:
    """The counts of one block in rising order."""
    low, high = items
    kinds = high - low + 1
    size = kinds * -(-BLOCK // kinds)
    if distribution == "uniform":
        return tuple(low + place * kinds // size for place in range(size))
    mean = (low + high) / 2
    logs = (count * math.log(max(mean, 1e-9)) - mean - math.lgamma(count + 1) for count in range(high))
    reached = np.cumsum([*(math.exp(log) for log in logs), 1.0])
    return tuple(min(max(int(np.searchsorted(reached, (place + 0.5) / size)), low), high) for place in range(size))
