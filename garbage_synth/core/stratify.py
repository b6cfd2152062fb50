"""Groups of pictures divided so that every part holds its share of every class, as far as that goes."""

from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["stratified"]


def stratified(contents: Sequence[Mapping[int, int]], sizes: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The part, 0..len(shares)-1, of every group; no group is torn apart and no part stays empty.

    contents: class -> number of items, per group. sizes: pictures per group. shares: part of the whole that each part
    is to get, sum 1. The rarest class is divided first, its richest groups before the others; a group goes where most
    items of that class are still wanted, then where most pictures are (iterative stratification, Sechidis et al. 2011).
    Ties go by the order of the groups, so that the caller's shuffle decides. Needs as many groups as parts.
    """
    left: Counter[int] = Counter()
    for content in contents:
        left.update(content)
    wanted: list[dict[int | None, float]] = [{key: share * number for key, number in left.items()} for share in shares]
    wanted_pictures = [share * sum(sizes) for share in shares]
    parts = [-1] * len(sizes)

    def put(group: int, key: int | None) -> None:
        part = max(range(len(shares)), key=lambda part: (wanted[part].get(key, 0.0), wanted_pictures[part]))
        parts[group] = part
        wanted_pictures[part] -= sizes[group]
        for other, number in contents[group].items():
            wanted[part][other] -= number
            left[other] -= number

    while +left:
        key = min(+left, key=lambda key: (left[key], key))
        open_groups = [group for group, part in enumerate(parts) if part < 0 and contents[group].get(key)]
        for group in sorted(open_groups, key=lambda group: -contents[group][key]):
            put(group, key)
    for group in sorted((group for group, part in enumerate(parts) if part < 0), key=lambda group: -sizes[group]):
        put(group, None)
    for part in range(len(shares)):
        if part not in parts:
            donor = Counter(parts).most_common(1)[0][0]
            parts[min((group for group in range(len(parts)) if parts[group] == donor), key=lambda g: sizes[g])] = part
    return parts
