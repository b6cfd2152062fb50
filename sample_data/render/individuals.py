"""Who exists: every item is one individual with its own seed, and the sets never share one."""

import hashlib
from dataclasses import dataclass

import numpy as np

from sample_data.render.items import CATEGORIES

__all__ = ["Individual", "draw_individuals", "rng_for"]


@dataclass(frozen=True, slots=True)
class Individual:
    """One item of the world. set_name keeps the splits apart; number counts within set and category."""

    set_name: str
    category: str
    number: int

    @property
    def key(self) -> str:
        """The individual's name, unique over all sets, as written into the annotations."""
        return f"{self.set_name}/{self.category}/{self.number:03d}"


def rng_for(*parts: str | int) -> np.random.Generator:
    """The random generator that belongs to a name; equal parts give equal streams on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def draw_individuals(
    rng: np.random.Generator, *, set_name: str, count: int, pool_per_category: int
) -> list[Individual]:
    """`count` different individuals of a set, categories drawn uniformly, numbers below `pool_per_category`."""
    drawn: set[Individual] = set()
    ordered: list[Individual] = []
    while len(ordered) < count:
        category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
        individual = Individual(set_name, category, int(rng.integers(pool_per_category)))
        if individual not in drawn:
            drawn.add(individual)
            ordered.append(individual)
    return ordered
