"""How sure an average precision is: what it would be on other pictures like these (bootstrap, Efron 1979)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.rng import rng_for

__all__ = ["LEAST_PICTURES", "RESAMPLES", "interval", "picture_draws", "resampled_ap"]

RESAMPLES = 300
LEAST_PICTURES = 10
"""Fewer do not tell how much pictures differ."""

_PERCENT = (2.5, 97.5)


def picture_draws(pictures: int) -> NDArray[np.int64]:
    """(RESAMPLES, pictures): how often each picture is drawn where as many are drawn as there are, with replacement.

    The same draws for the same number of pictures, so that detectors judged on one test set are judged on the same
    resampled ones: their differences are less uncertain than each is.
    """
    rng = rng_for(0, "evaluate", "pictures", pictures)
    if not pictures:
        return np.zeros((RESAMPLES, 0), np.int64)
    return rng.multinomial(pictures, np.full(pictures, 1 / pictures), size=RESAMPLES)


def resampled_ap(evaluation: Any, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The AP of an evaluated COCOeval at its first area range, were each picture there as often as drawn.

    draws: (n, pictures), by image id. Returns (n,): the mean over IoUs and over the classes that then have boxes, NaN
    where none has. A draw of each picture once gives the AP as COCOeval has it.
    """
    pictures, areas = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    entries = evaluation.evalImgs
    by_class = [
        _class_ap(entries[start : start + pictures], draws, np.asarray(evaluation.params.recThrs))
        for start in range(0, len(entries), areas * pictures)
    ]
    values = np.stack(by_class)
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0).sum(0) / np.maximum(count, 1), np.nan)


def interval(resampled: NDArray[np.float64], ap: float | None) -> tuple[float, float] | None:
    """The 95 % interval of an AP: from the 2.5th to the 97.5th percentile of the resampled ones, without their bias.

    Pictures repeat in a resampled test set, which makes its AP a little higher on average; both ends are moved by so
    much (Efron and Tibshirani 1993, chapter 10). None where there is nothing to tell it by.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known) or ap is None:
        return None
    low, high = np.percentile(known, _PERCENT) - (known.mean() - ap)
    return max(float(low), 0.0), min(float(high), 1.0)


def _class_ap(entries: list[Any], draws: NDArray[np.int64], recalls: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of one class, NaN where no box is drawn. entries: one of each picture, or None where it has nothing."""
    known = [(place, entry) for place, entry in enumerate(entries) if entry is not None]
    boxes = np.zeros(len(entries), np.int64)
    for place, entry in known:
        boxes[place] = np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)
    total = draws @ boxes
    if not total.any():
        return np.full(len(draws), np.nan)
    scores = np.concatenate([np.asarray(entry["dtScores"], np.float64) for _, entry in known])
    order = np.argsort(-scores, kind="stable")
    owner = np.concatenate([np.full(len(entry["dtScores"]), place) for place, entry in known])[order]
    counted = ~np.concatenate([np.asarray(entry["dtIgnore"], bool) for _, entry in known], axis=1)[:, order]
    matched = np.concatenate([np.asarray(entry["dtMatches"]) > 0 for _, entry in known], axis=1)[:, order]
    right, wrong = matched & counted, ~matched & counted
    found = np.full(len(draws), np.nan)
    for number in np.flatnonzero(total):
        times = draws[number, owner]
        hits, faults = np.cumsum(right * times, axis=1), np.cumsum(wrong * times, axis=1)
        precision = hits / np.maximum(hits + faults, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)  # beyond the last recall that is reached
        reached = hits / total[number]
        at = np.stack([np.searchsorted(own, recalls, side="left") for own in reached])
        found[number] = np.take_along_axis(best, at, axis=1).mean()
    return found
