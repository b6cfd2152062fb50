"""Crops and belts divided between train and val, so that no source is in both."""

from collections import defaultdict
from collections.abc import Sequence

from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Background, Crop

__all__ = ["MIN_BELT_SOURCES", "choose_photos", "divide_belts", "divide_count", "divide_crops", "divide_distractors"]

MIN_BELT_SOURCES = 5  # with fewer belts, both splits use all of them

Warnings = tuple[str, ...]


def divide_count(count: int, val_fraction: float) -> dict[str, int]:
    """How many of `count` pictures each split gets: val at least one from two pictures on, unless val_fraction is 0."""
    val = round(count * val_fraction)
    if val_fraction > 0 and count >= 2:
        val = min(max(val, 1), count - 1)
    return {"train": count - val, "val": val}


def choose_photos(crops: Sequence[Crop], most: int | None, seed: int) -> tuple[Crop, ...]:
    """The crops of at most `most` sources (photos) of each class, in their order; None keeps all.

    A class's sources are shuffled by the seed and the first ones taken, so that fewer are a part of more.
    """
    if most is None:
        return tuple(crops)
    chosen: set[tuple[str, str]] = set()
    for category in sorted({crop.category for crop in crops}):
        own = sorted({crop.source for crop in crops if crop.category == category})
        rng_for(seed, "choose-photos", category, 0).shuffle(own)
        chosen.update((category, source) for source in own[:most])
    return tuple(crop for crop in crops if (crop.category, crop.source) in chosen)


def divide_crops(crops: Sequence[Crop], val_fraction: float, seed: int) -> tuple[dict[str, tuple[Crop, ...]], Warnings]:
    """({"train": crops, "val": crops}, warnings). A source (photo) goes to one split with all its crops.

    In every class about val_fraction of its sources go to val, at least one where there are two; rare classes choose
    first. A class with a single source stays in train, and is named in a warning.
    """
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for crop in crops:
        sources[crop.category].add(crop.source)
    side: dict[str, str] = {}
    for category in sorted(sources, key=lambda name: (len(sources[name]), name)):
        own = sorted(sources[category])
        wanted = _val_count(len(own), val_fraction) if val_fraction > 0 else 0
        wanted -= sum(side.get(source) == "val" for source in own)
        free = [source for source in own if source not in side]
        rng_for(seed, "divide-crops", category, 0).shuffle(free)
        side.update({source: "val" if index < wanted else "train" for index, source in enumerate(free)})
    divided = {split: tuple(crop for crop in crops if side[crop.source] == split) for split in ("train", "val")}
    warnings = []
    if val_fraction > 0:
        lacking = {
            split: sorted(sources.keys() - {crop.category for crop in divided[split]}) for split in ("train", "val")
        }
        single = [name for name in lacking["val"] if len(sources[name]) == 1]
        if single:
            warnings.append(f"classes with crops of one source are in train only, not in val: {', '.join(single)}")
        for split in ("train", "val"):
            names = [name for name in lacking[split] if name not in single]
            if names:
                warnings.append(
                    f"classes without crops in {split}, for their photos show others too: {', '.join(names)}"
                )
    return divided, tuple(warnings)


def divide_distractors(crops: Sequence[Crop], val_fraction: float, seed: int) -> dict[str, tuple[Crop, ...]]:
    """{"train": distractors, "val": distractors}: by source where there are two, otherwise shared."""
    own = sorted({crop.source for crop in crops})
    if val_fraction <= 0 or len(own) < 2:
        return {"train": tuple(crops), "val": tuple(crops)}
    rng_for(seed, "divide-distractors", "", 0).shuffle(own)
    val = set(own[: _val_count(len(own), val_fraction)])
    return {
        "train": tuple(crop for crop in crops if crop.source not in val),
        "val": tuple(crop for crop in crops if crop.source in val),
    }


def _val_count(sources: int, val_fraction: float) -> int:
    """How many of at least two sources go to val: at least one, and one stays in train."""
    return min(max(round(sources * val_fraction), 1), sources - 1)


def divide_belts(
    belts: Sequence[Background], val_fraction: float, seed: int
) -> tuple[dict[str, tuple[Background, ...]], Warnings]:
    """({"train": belts, "val": belts}, warnings): by source from MIN_BELT_SOURCES sources on, otherwise shared."""
    own = sorted({belt.source for belt in belts})
    if val_fraction <= 0:
        return {"train": tuple(belts), "val": ()}, ()
    if len(own) < MIN_BELT_SOURCES:
        noun = "belt" if len(own) == 1 else "belts"
        text = f"train and val share the {len(own)} {noun}: only from {MIN_BELT_SOURCES} sources on are they divided"
        return {"train": tuple(belts), "val": tuple(belts)}, (text,)
    rng_for(seed, "divide-belts", "", 0).shuffle(own)
    val = set(own[: _val_count(len(own), val_fraction)])
    return {
        "train": tuple(belt for belt in belts if belt.source not in val),
        "val": tuple(belt for belt in belts if belt.source in val),
    }, ()
