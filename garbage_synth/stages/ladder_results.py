"""What a ladder found: from the records of its steps to results.json."""

import inspect
import json
import subprocess
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth import __version__
from garbage_synth.core.progress import Progress
from garbage_synth.detect.resampled import LEAST_PICTURES, interval
from garbage_synth.report.ladder_table import SMALLEST_GAP, gap_closed, mean, plateau, spread
from garbage_synth.stages.ladder_file import Arm, Curve, Ladder, Pair
from garbage_synth.stages.ladder_sets import PictureSet, distances, read_set
from garbage_synth.stages.recipe import Step
from garbage_synth.stages.steps import Ledger, cached_fingerprint

__all__ = ["collect_results"]

_METRICS = "metrics.json"  # of an evaluation
_Resampled = Mapping[int, NDArray[np.float64]]


def collect_results(
    ladder: Ladder, told: Sequence[Arm], ledger: Ledger, file: Path, failed: Mapping[str, str], progress: Progress
) -> dict[str, Any]:
    """The content of results.json. told: the arms of the table, with those of their pairs that are done. failed: what
    went wrong by pair, "<arm>_<seed>".

    For every arm ap_mean, ap_spread (sample standard deviation over seeds, null for one), ap50_mean, ap75_mean,
    per_class (mean AP), seeds (AP of each), gap_closed (a fraction, null = undefined), train (images, annotations),
    distances of its pictures from the test pictures, minutes (of the stages it needs; of one training), ap_interval
    (95 % interval of ap_mean over the choice of test pictures, null below 10 of them). above: for every arm and other
    one, in what share of the resampled test sets it is the better, by the seeds that both have. No other times, no
    places of this machine.
    """
    judging = ladder.pairs[0].evaluate
    truth = judging.arguments["truth"]
    test = read_set(truth, judging.arguments.get("split"), ("test", "val"))
    sets = {arm.key: read_set(arm.train, ladder.pairs[0].train.arguments.get("split"), ("train",)) for arm in told}
    looks = _distances(told, sets, ledger, test, truth, progress)
    enough = len(test.paths) >= LEAST_PICTURES
    resampled = {arm.key: _resampled(arm) if enough else {} for arm in told}
    arms = {arm.key: _arm(arm, ledger, sets[arm.key], looks[arm.key], resampled[arm.key]) for arm in told}
    gap = _gap(ladder.gap, arms)
    done = [pair for arm in told for pair in arm.pairs]
    judged = ledger.of(done[0].evaluate)["numbers"] if done else {}
    devices = sorted({ledger.of(pair.train)["numbers"].get("device", "unknown") for pair in done})
    return {
        "above": _above(resampled),
        "arms": arms,
        "commit": _commit(file.absolute().parent),
        "curve": None if ladder.curve is None else _curve(ladder.curve, arms),
        "detector": _detector(ladder.pairs[0].train),
        "device": " and ".join(devices) or None,
        "failed": dict(failed),
        "gap": gap,
        "seeds": list(ladder.seeds),
        "test_set": {
            "name": "/".join(truth.parts[-2:]),
            "split": test.split,
            "images": len(test.paths),
            "annotations": judged.get("annotations", test.annotations),  # those that were scored
            "class_agnostic": bool(judging.arguments.get("class_agnostic")),
        },
        "version": __version__,
    }


def _arm(
    arm: Arm, ledger: Ledger, train: PictureSet, looks: Mapping[str, float], resampled: _Resampled
) -> dict[str, Any]:
    judged = [ledger.records[pair.evaluate.name]["numbers"] for pair in arm.pairs]
    seeds = [_seed(pair, numbers, ledger) for pair, numbers in zip(arm.pairs, judged, strict=True)]
    aps = [seed["ap"] for seed in seeds if seed["ap"] is not None]
    classes = {name: None for numbers in judged for name in numbers.get("per_class", {})}
    return {
        "name": arm.name,
        "ap_mean": mean(aps),
        "ap_spread": spread(aps),
        "ap_interval": _interval(resampled, mean(aps)) if len(resampled) == len(seeds) else None,
        "ap50_mean": _mean_of(judged, "ap50"),
        "ap75_mean": _mean_of(judged, "ap75"),
        "per_class": {
            name: _mean_of([numbers["per_class"].get(name, {}) for numbers in judged], "ap") for name in classes
        },
        "seeds": seeds,
        "gap_closed": None,
        "train": {"images": len(train.paths), "annotations": train.annotations},
        "distances": dict(looks),
        "minutes": {
            "stages": round(sum(ledger.records[name].get("seconds", 0.0) for name in arm.needs) / 60, 2),
            "training": None if not seeds else round(sum(seed["minutes"] for seed in seeds) / len(seeds), 2),
        },
    }


def _resampled(arm: Arm) -> _Resampled:
    """The AP on each resampled test set by seed, (n,); without the evaluations of earlier versions, which tell none."""
    found = {}
    for pair in arm.pairs:
        if pair.evaluate.out is None or not (pair.evaluate.out / _METRICS).is_file():
            continue
        values = json.loads((pair.evaluate.out / _METRICS).read_text(encoding="utf-8")).get("ap_resampled")
        if values is not None:
            found[pair.seed] = np.array(values, np.float64)
    return found


def _interval(resampled: _Resampled, ap_mean: float | None) -> list[float] | None:
    ends = interval(np.mean(list(resampled.values()), axis=0), ap_mean) if resampled else None
    return None if ends is None else [round(end, 4) for end in ends]


def _above(resampled: Mapping[str, _Resampled]) -> dict[str, dict[str, float]]:
    """Of each arm and each other the share of test sets in which the first is better, where they have seeds in common;
    equal ones count half, those without a box not at all."""
    shares: dict[str, dict[str, float]] = {}
    for (key, own), (other, theirs) in permutations(resampled.items(), 2):
        common = sorted(own.keys() & theirs.keys())
        if not common:
            continue
        ahead = np.mean([own[seed] - theirs[seed] for seed in common], axis=0)
        ahead = ahead[~np.isnan(ahead)]
        if len(ahead):
            shares.setdefault(key, {})[other] = round(float(np.mean((ahead > 0) + 0.5 * (ahead == 0))), 3)
    return shares


def _seed(pair: Pair, numbers: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    scores = {key: numbers.get(key) for key in ("ap", "ap50", "ap75")}
    return {"seed": pair.seed, **scores, "minutes": round(_training_seconds(ledger.of(pair.train)) / 60, 2)}


def _training_seconds(record: Mapping[str, Any]) -> float:
    """What the whole training takes: where it was resumed, the pace tells of the part that no clock has seen."""
    numbers = record["numbers"]
    told = [numbers.get("seconds"), record["seconds"]]
    if numbers.get("seconds_per_iteration") and numbers.get("iterations"):
        told.append(numbers["seconds_per_iteration"] * numbers["iterations"])
    return max(float(seconds) for seconds in told if seconds is not None)


def _mean_of(judged: Sequence[Mapping[str, Any]], key: str) -> float | None:
    return mean([numbers[key] for numbers in judged if numbers.get(key) is not None])


def _gap(ends: tuple[str, str] | None, arms: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The ends of the gap and why it is undefined, where it is; puts `gap_closed` into the arms."""
    if ends is None:
        return None
    low, high = (arms[end]["ap_mean"] if end in arms else None for end in ends)
    undefined = None
    if low is None or high is None:
        undefined = f"undefined, since {ends[0]} and {ends[1]} were not both measured"
    elif gap_closed(high, low, high) is None:
        undefined = f"undefined, since {ends[1]} - {ends[0]} is {high - low:.3f} AP, below {SMALLEST_GAP}"
    for arm in arms.values():
        arm["gap_closed"] = gap_closed(arm["ap_mean"], low, high)
    return {"from": ends[0], "to": ends[1], "undefined": undefined}


def _curve(curve: Curve, arms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The points that were measured, and where more stops helping."""
    points: list[dict[str, Any]] = []
    for key, x in sorted(curve.places.items(), key=lambda place: place[1]):
        aps = [seed["ap"] for seed in arms[key]["seeds"] if seed["ap"] is not None] if key in arms else []
        if aps:
            points.append({"arm": key, "x": x, "ap": aps, "ap_mean": mean(aps)})
    enough, tolerance = plateau([(point["x"], point["ap"]) for point in points])
    return {"x": curve.label, "points": points, "enough": enough, "tolerance": tolerance}


def _distances(
    arms: Sequence[Arm],
    sets: Mapping[str, PictureSet],
    ledger: Ledger,
    test: PictureSet,
    truth: Path,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Those of every arm, kept in the ledger until its pictures change."""
    print_of = cached_fingerprint()
    progress.start("distances from the test pictures", len(arms))
    found = {}
    for arm in arms:
        name = f"distances/{arm.key}"
        identity = {"test": print_of([truth]), "split": test.split, "train": print_of([arm.train])}
        known = ledger.records.get(name, {})
        if known.get("identity") != identity:
            numbers = distances(sets[arm.key], test)
            known = {"identity": identity, "numbers": numbers, "status": "finished"}
            ledger.records[name] = known
            ledger.write()
        found[arm.key] = known["numbers"]
        progress.advance()
    return found


def _detector(step: Step) -> dict[str, Any]:
    """The arguments of train-detector with their defaults, the same for every arm."""
    left_out = {"dataset", "device", "dry_run", "out", "overwrite", "progress", "resume", "seed"}
    settings: dict[str, Any] = {}
    for name, parameter in step.command.arguments().items():
        if name in left_out:
            continue
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        value = step.arguments.get(name, default)
        if name == "config" and value is None and (kind := step.command.settings()) is not None:
            value = kind()
        if hasattr(value, "model_dump"):
            value = value.model_dump(mode="json")
        settings[name] = value.name if isinstance(value, Path) else value
    return settings


def _commit(folder: Path) -> str | None:
    """The commit of the checkout that holds the folder, "+changes" where files differ from it; None without one."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
