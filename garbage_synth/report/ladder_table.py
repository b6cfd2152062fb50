"""The numbers of a ladder: means and spreads over seeds, the gap closed, where a curve flattens, and the table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["SMALLEST_GAP", "gap_closed", "ladder_table", "mean", "plateau", "spread"]

SMALLEST_GAP = 0.02
"""AP between the two ends below which the gap is undefined: it would be noise that is divided by."""

_SMALLEST_GAIN = 0.01  # AP; less than this is no gain worth more pictures


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n - 1), None below two values."""
    if len(values) < 2:
        return None
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def gap_closed(x: float | None, low: float | None, high: float | None) -> float | None:
    """(x - low) / (high - low), a fraction: 0 = no better than low, 1 = as good as high.

    None, undefined, where one is not known or high - low is below 0.02 AP.
    """
    if x is None or low is None or high is None or round(high - low, 9) < SMALLEST_GAP:
        return None
    return (x - low) / (high - low)


def plateau(points: Sequence[tuple[float, Sequence[float]]]) -> tuple[float | None, float]:
    """Where more stops helping, and the gain that counts as none.

    points: (x, AP of each seed), x ascending. The first x after which no larger one has a mean better by more than the
    tolerance: 0.01 AP, or the pooled standard deviation of the seeds where that is more. None where the last point is
    still better than all before it.
    """
    means = [math.fsum(values) / len(values) for _, values in points]
    freedom = sum(len(values) - 1 for _, values in points)
    squares = math.fsum(
        (value - middle) ** 2 for (_, values), middle in zip(points, means, strict=True) for value in values
    )
    tolerance = max(_SMALLEST_GAIN, math.sqrt(squares / freedom) if freedom else 0.0)
    for number, (x, _) in enumerate(points[:-1]):
        if max(means[number + 1 :]) - means[number] <= tolerance + 1e-9:
            return x, tolerance
    return None, tolerance


def ladder_table(results: Mapping[str, Any]) -> str:
    """The results of a ladder (its results.json) as a Markdown table with what one must know to read it."""
    lines = [
        "| arm | trained on | pictures | AP (mean ± spread) | 95 % interval | AP50 | gap closed | SWD | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(key, arm) for key, arm in results["arms"].items()),
        "",
        *_notes(results),
        *_comparison(results.get("above", {})),
    ]
    return "\n".join(lines) + "\n"


def _row(key: str, arm: Mapping[str, Any]) -> str:
    minutes = arm["minutes"]
    cells = (
        key,
        arm["name"].replace("\\", r"\\").replace("|", r"\|"),
        f"{arm['train']['images']:,}",
        _number(arm["ap_mean"], ".3f") + ("" if arm["ap_spread"] is None else f" ± {arm['ap_spread']:.3f}"),
        "{:.3f} to {:.3f}".format(*arm["ap_interval"]) if arm.get("ap_interval") else "",
        _number(arm["ap50_mean"], ".3f"),
        "undefined" if arm["gap_closed"] is None else f"{arm['gap_closed']:.0%}",
        _number(arm["distances"]["swd"], ".1f"),
        f"{_number(minutes['stages'], '.1f')} + {_number(minutes['training'], '.1f')}",
    )
    return f"| {' | '.join(cells)} |"


def _comparison(above: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table of each arm against each other, where there are two."""
    if not above:
        return []
    rows = [
        f"| {key} | {' | '.join(f'{shares[other]:.1%}' if other in shares else '' for other in above)} |"
        for key, shares in above.items()
    ]
    return [
        "",
        "In how many of the resampled test sets the row is above the column, by the seeds that both have. Between 2.5 "
        "and 97.5 % the order may be due to the choice of test pictures; how far trainings differ by chance is not in "
        "it.",
        "",
        f"| | {' | '.join(above)} |",
        "|---" * (len(above) + 1) + "|",
        *rows,
    ]


def _notes(results: Mapping[str, Any]) -> list[str]:
    test, detector, gap, curve = (results[key] for key in ("test_set", "detector", "gap", "curve"))
    seeds = ", ".join(str(seed) for seed in results["seeds"])
    budget = next(
        (f"{detector[key]:,} {key}" for key in ("iterations", "epochs") if detector.get(key)), "its own budget"
    )
    notes = [
        f"AP on {test['name']}, split {test['split']}: {test['images']} pictures, {test['annotations']} items"
        + (", classes not told apart" if test["class_agnostic"] else "")
        + f". ± is the sample standard deviation over the seeds ({seeds}); the 95 % interval is over the choice of "
        "test pictures (bootstrap), none where evaluations do not tell it. SWD: sliced Wasserstein distance of the "
        "training pictures from the test pictures, smaller is nearer. Minutes: making the pictures + one training.",
    ]
    if gap is not None:
        low, high = gap["from"], gap["to"]
        notes.append(
            f"Gap closed = (x - {low}) / ({high} - {low})" + (f": {gap['undefined']}." if gap["undefined"] else ".")
        )
    if curve is not None:
        notes.append(_told(curve))
    if results["failed"]:
        notes.append(f"Failed, and not in the table: {', '.join(results['failed'])}.")
    commit = f", commit {results['commit']}" if results["commit"] else ""
    notes.append(
        f"Detector {detector['model']}, {budget}, the same for every arm; {results['device'] or 'nothing trained'}; "
        f"garbage-synth {results['version']}{commit}."
    )
    return [line for note in notes for line in (note, "")][:-1]


def _told(curve: Mapping[str, Any]) -> str:
    """What a curve says of where more stops helping."""
    if len(curve["points"]) < 2:
        return f"AP over {curve['x']}: too few points."
    last = curve["points"][-1]["x"]
    gain = f"no larger one gains more than {curve['tolerance']:.3f} AP"
    if curve["enough"] is None:
        return f"AP over {curve['x']}: still rising at {last:,.0f}."
    return f"AP over {curve['x']}: enough at {curve['enough']:,.0f}; {gain}."


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
