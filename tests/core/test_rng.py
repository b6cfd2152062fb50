import numpy as np
import pytest

from garbage_synth.core.rng import rng_for


def test_the_same_place_gives_the_same_stream() -> None:
    one, other = (rng_for(3, "composite", "train", 7).random(5) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "place",
    [(4, "composite", "train", 7), (3, "refine", "train", 7), (3, "composite", "val", 7), (3, "composite", "train", 8)],
)
def test_every_part_of_the_place_counts(place: tuple[int, str, str, int]) -> None:
    assert not np.array_equal(rng_for(*place).random(5), rng_for(3, "composite", "train", 7).random(5))


def test_texts_that_run_together_are_kept_apart() -> None:
    assert rng_for(0, "ab", "c", 0).random() != rng_for(0, "a", "bc", 0).random()
