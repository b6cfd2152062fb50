"""Training and judging the detectors of a ladder, several at a time; what is finished and unchanged is left alone."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from garbage_synth.config.detector import DetectorConfig
from garbage_synth.core.progress import NullProgress, Progress
from garbage_synth.errors import GarbageSynthError, InputError
from garbage_synth.io.output import read_manifest
from garbage_synth.io.records import STATS_FILE, read_records
from garbage_synth.run.local import map_unordered, spare_workers
from garbage_synth.stages.ladder_file import Pair
from garbage_synth.stages.recipe import Step
from garbage_synth.stages.steps import (
    How,
    Ledger,
    cached_fingerprint,
    finished_record,
    identity_of,
    is_finished,
    run_step,
)

__all__ = ["run_pairs"]


@dataclass(frozen=True, slots=True)
class _Work:
    """A pair that is to be done. training: the identity of its training; known: the records of its two steps."""

    pair: Pair
    training: Mapping[str, Any]
    known: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a pair: records of the steps that ran, and what went wrong."""

    pair: Pair
    records: Mapping[str, dict[str, Any]]
    error: str | None


def run_pairs(
    pairs: Sequence[Pair], ledger: Ledger, *, workers: int, device: str, on_cpu: bool, progress: Progress
) -> dict[str, str]:
    """Train and evaluate every pair that is not done; what went wrong by name of the pair, "<arm>_<seed>".

    Records go to the ledger one by one. A pair that fails does not stop the others. on_cpu: every process computes with
    one thread. Several workers are processes of their own, which share the memory of the setting cache_gb.
    """
    work = _open_work(pairs, ledger)
    if len(work) < len(pairs):
        progress.message(f"{len(pairs) - len(work)} of {len(pairs)} detectors are finished and unchanged")
    errors: dict[str, str] = {}
    left = {item.pair.name: item.pair for item in work}
    workers = min(workers, max(1, len(work)))
    here = progress if workers <= 1 else None  # where it tells of each training itself
    bar = _Bar(left, NullProgress() if here else progress)
    task = partial(_run_pair, out=ledger.out, device=device, on_cpu=on_cpu, at_a_time=workers, progress=here)
    try:
        for outcome in map_unordered(task, work, workers=workers, interruptible=True, look=bar.look):
            del left[outcome.pair.name]
            ledger.records |= outcome.records
            ledger.write()
            if outcome.error:
                errors[outcome.pair.name] = outcome.error
            bar.look()
            progress.message(f"arm {outcome.pair.arm}, seed {outcome.pair.seed}: {outcome.error or _headline(outcome)}")
    except InputError:
        raise
    except GarbageSynthError:
        why = "a worker process died (killed, or out of memory); run the same command again, with fewer --workers"
        errors |= dict.fromkeys(left, why)
        progress.message(f"{len(left)} detectors are not done: {why}")
    return errors


class _Bar:
    """How far several detectors are together, in iterations; in detectors where the file tells epochs.

    left: the pairs that are not done, from which those that are get removed. What worker processes have done so far is
    read from what they write, as far as that is newer than this bar.
    """

    def __init__(self, left: Mapping[str, Pair], progress: Progress) -> None:
        self._left, self._progress, self._began = left, progress, time.time()
        iterations = next((pair.train.arguments.get("iterations") for pair in left.values()), None)
        self._each, self._told = iterations or 1, 0
        self._done = dict.fromkeys(left, 0)
        unit = "detectors" if iterations is None else f"iterations of {len(left)} detectors"
        progress.start(unit, self._each * len(left))

    def look(self) -> None:
        """Tell what is new."""
        for name, done in self._done.items():
            if name not in self._left:
                self._done[name] = self._each
            elif self._each > 1:  # a training that is through stays counted while it is judged
                own = _iterations_done(self._left[name].train, since=self._began)
                self._done[name] = min(self._each, max(done, own))
        now = sum(self._done.values())
        if now > self._told:
            self._progress.advance(now - self._told)
            self._told = now


def _iterations_done(step: Step, *, since: float) -> int:
    """By the newest record of a training, 0 where it has none of a later time than `since`, seconds of the clock."""
    if step.out is None:
        return 0
    try:
        if (step.out / STATS_FILE).stat().st_mtime < since:
            return 0
        return max((int(record.get("iteration", 0)) for record in read_records(step.out / STATS_FILE)), default=0)
    except OSError:  # not begun yet, or being replaced
        return 0


def _open_work(pairs: Sequence[Pair], ledger: Ledger) -> list[_Work]:
    """The pairs that are not done, their beginning recorded, so that a killed one is continued."""
    print_of = cached_fingerprint()
    work = []
    for pair in pairs:
        training = identity_of(pair.train, print_of)
        known = {step.name: ledger.of(step) for step in (pair.train, pair.evaluate)}
        if is_finished(pair.train, known[pair.train.name], training):
            if is_finished(pair.evaluate, known[pair.evaluate.name], identity_of(pair.evaluate, print_of)):
                continue
        elif not _how(pair.train, known[pair.train.name], training).overwrite:
            seconds = known[pair.train.name].get("seconds", 0.0)
            ledger.records[pair.train.name] = {"identity": training, "seconds": seconds, "status": "begun"}
        elif known[pair.train.name].get("status") == "begun":
            # begun otherwise and now replaced: should this run be killed, the next one must not take it for that
            del ledger.records[pair.train.name]
        work.append(_Work(pair, training, known))
    if work:
        ledger.write()
    return work


def _run_pair(
    work: _Work, *, out: Path, device: str, on_cpu: bool, at_a_time: int, progress: Progress | None
) -> _Outcome:
    records: dict[str, dict[str, Any]] = {}
    with _threads(1 if on_cpu else None):
        try:
            train = _with_its_share(work.pair.train, at_a_time, on_cpu)
            _run(train, work.training, work.known, records, out, device, progress)
            evaluation = identity_of(work.pair.evaluate)
            _run(work.pair.evaluate, evaluation, work.known, records, out, device, progress)
        except GarbageSynthError as error:
            return _Outcome(work.pair, records, " ".join(str(error).split()))
        except Exception as error:  # one detector's failure must not lose the others
            return _Outcome(work.pair, records, " ".join(f"{type(error).__name__}: {error}".split()))
    return _Outcome(work.pair, records, None)


def _with_its_share(step: Step, count: int, on_cpu: bool) -> Step:
    """The training with the part of cache_gb and, on a GPU, of the cores that prepare samples, that is its own where
    `count` are done at a time; it changes no result."""
    config = step.arguments.get("config") or DetectorConfig()
    share: dict[str, Any] = {"cache_gb": config.cache_gb / count}
    if count > 1 and not on_cpu and config.loader_workers is None:
        share["loader_workers"] = spare_workers(count)
    own = config.model_copy(update=share)
    return replace(step, arguments={**step.arguments, "config": own})


def _run(
    step: Step,
    identity: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]],
    records: dict[str, dict[str, Any]],
    out: Path,
    device: str,
    progress: Progress | None,
) -> None:
    """Run a step unless it is done, and put its record among the others. Raises GarbageSynthError where it fails."""
    before = known[step.name]
    if is_finished(step, before, identity):
        records[step.name] = dict(before)
        return
    how = _how(step, before, identity)
    seconds_before = float(before.get("seconds", 0)) if how.resume else 0.0
    began = time.monotonic()
    try:
        summary = run_step(step, how, {"device": device}, progress or NullProgress())
    except Exception:
        if not how.overwrite:  # else nobody knows whether it failed before or after what was there was replaced
            seconds = round(seconds_before + time.monotonic() - began, 1)
            records[step.name] = {"identity": identity, "seconds": seconds, "status": "begun"}
        raise
    records[step.name] = finished_record(summary, identity, out, seconds_before + time.monotonic() - began)
    if not summary.ok:
        raise GarbageSynthError(f"{step.name} failed; see {step.out}")


def _how(step: Step, known: Mapping[str, Any], identity: Mapping[str, Any]) -> How:
    """Continue what was begun like this, replace all else.

    Not `how_to_begin`: many detectors are begun by one command, so that a record of another making may stay as it is
    while its folder is being replaced. One that says "begun" is true: what was killed between its end and the ledger
    finds itself finished.
    """
    if step.out is None or not step.out.exists() or not any(step.out.iterdir()):
        return How(overwrite=False, resume=False)
    begun = known.get("status") == "begun" and known.get("identity") == identity
    resume = begun and read_manifest(step.out) is not None
    return How(overwrite=not resume, resume=resume)


def _threads(count: int | None) -> AbstractContextManager[None]:
    from garbage_synth.compute.device import computing_threads

    return computing_threads(count)


def _headline(outcome: _Outcome) -> str:
    ap = outcome.records[outcome.pair.evaluate.name]["numbers"].get("ap")
    minutes = outcome.records[outcome.pair.train.name]["seconds"] / 60
    return ("no AP" if ap is None else f"AP {ap:.3f}") + f", trained in {minutes:.1f} min"
