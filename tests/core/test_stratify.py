from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from garbage_synth.core.stratify import stratified

SHARES = [0.7, 0.2, 0.1]
CONTENT = st.dictionaries(st.integers(0, 4), st.integers(1, 5), max_size=4)


def test_every_class_is_divided_in_proportion_the_rare_one_too() -> None:
    rng = np.random.default_rng(1)
    contents = [Counter(int(key) for key in rng.choice(4, 3, p=[0.6, 0.3, 0.09, 0.01])) for _ in range(600)]
    parts = stratified(contents, [1] * 600, SHARES)
    assert [round(parts.count(part) / 600, 2) for part in range(3)] == SHARES
    for key in range(4):
        found = [sum(content[key] for content, own in zip(contents, parts, strict=True) if own == p) for p in range(3)]
        for number, share in zip(found, SHARES, strict=True):
            assert abs(number - share * sum(found)) <= max(2, 0.02 * sum(found))


@given(st.lists(st.tuples(CONTENT, st.integers(1, 9)), min_size=3, max_size=30))
def test_no_part_stays_empty_and_every_group_has_one(groups: list[tuple[dict[int, int], int]]) -> None:
    parts = stratified([content for content, _ in groups], [size for _, size in groups], SHARES)
    assert set(parts) == {0, 1, 2}
    assert len(parts) == len(groups)


def test_pictures_without_items_are_divided_too() -> None:
    parts = stratified([{}] * 10, [1] * 10, [0.8, 0.2])
    assert Counter(parts) == {0: 8, 1: 2}
