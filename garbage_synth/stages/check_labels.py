"""`check-labels`: do the labels of a dataset still hold for the same pictures, rewritten?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.fidelity.sheet import contact_sheet, draw_verdict
from garbage_synth.fidelity.verdicts import FrameVerdict, Label
from garbage_synth.io.atomic import write_bytes, write_json
from garbage_synth.io.dataset import SplitFiles, read_dataset, split_files
from garbage_synth.io.images import encode_jpeg, image_size, read_rgb
from garbage_synth.run.local import available_workers, map_unordered
from garbage_synth.stages.label_verdicts import frame_entry, labels_of, rank_of

__all__ = ["check_labels"]

STATUSES = ("accepted", "adjusted", "dropped")
SHEET_PICTURES = 12
SHOWN = 3  # names in a warning
PICTURES_PER_WORKER = 4  # fewer are checked sooner than a process starts


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture before and after, with the annotations to check."""

    index: int
    split: str
    file_name: str
    before: Path
    after: Path
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """What there is to check, the pictures (split, file name) that are not there after, and how many crowd regions."""

    pictures: tuple[_Picture, ...]
    left_out: tuple[tuple[str, str], ...]
    crowds: int


@dataclass(frozen=True, slots=True)
class _Report:
    """The verdict on one picture as JSON, and what the summary and the sheet need of it."""

    index: int
    document: dict[str, Any]
    rank: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _CheckPicture:
    """_Picture -> _Report, in a worker process."""

    check: LabelCheck

    def __call__(self, picture: _Picture) -> _Report:
        """The verdict on one picture; status "failed" with a reason where it cannot be read. Raises InputError for a
        segmentation that cannot be."""
        try:
            pixels = read_rgb(picture.before), read_rgb(picture.after)
        except InputError as error:
            failed = {"invented": [], "items": [], "reason": str(error), "status": "failed"}
            return _Report(
                picture.index, {"file_name": picture.file_name, "split": picture.split, **failed}, (0.0, 1.0)
            )
        _, verdict = _verdict(picture, pixels, self.check)
        entry = frame_entry(verdict, picture.annotations)
        document = {"file_name": picture.file_name, "split": picture.split, **entry}
        return _Report(picture.index, document, rank_of(entry))


def check_labels(
    before: Path,
    after: Path,
    *,
    fail_below: float | None = None,
    report: Path | None = None,
    sheet: Path | None = None,
    config: FidelityConfig | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Check each label of `before` in the picture of the same name in `after`, which is what a generator made of it.

    before: a dataset. after: a dataset of the same file names, or a folder of them; its own labels are not looked at.
    Pictures that it lacks, as after `refine --drop-rejected`, are counted as left_out and named, and their labels count
    nowhere.
    fail_below: the summary is not ok (exit 1) where the part of labels that hold as they are (numbers["hold"], 0..1) is
    smaller. report: JSON file with the verdict on each item, with box and mask where they have to move. sheet: JPEG of
    the worst pictures, before and after. workers: None = one per core; never changes the outcome. Crowd regions are not
    checked. A picture that cannot be decoded counts as failed, and the summary is not ok. Neither dataset is changed.

    Raises InputError where `after` holds none of the pictures or one of another size, before any is checked, and
    OutputExistsError where report or sheet exist and overwrite is not given.
    """
    progress = progress or NullProgress()
    config = config or FidelityConfig()
    workers = available_workers() if workers is None else workers
    if fail_below is not None and not 0 <= fail_below <= 1:
        raise InputError(f"fail-below is {fail_below}, expected a part of the labels, 0 to 1")
    if workers < 0:
        raise InputError(f"workers is {workers}, expected 0 or more (0 and 1 work in this process)")
    if report is not None and sheet is not None and report.resolve() == sheet.resolve():
        raise InputError(f"--report and --sheet are the same file, {report}; give each its own")
    for out in (report, sheet):
        if out is not None:
            _refuse_loss(out, (before, after), overwrite)
    task = _task(before, after)
    pictures = task.pictures
    check = LabelCheck(config)
    progress.start("checking labels", len(pictures))
    reports: list[_Report] = []
    for own in map_unordered(
        _CheckPicture(check), pictures, workers=min(workers, len(pictures) // PICTURES_PER_WORKER)
    ):
        reports.append(own)
        progress.advance()
    reports.sort(key=lambda own: own.index)
    numbers = _numbers(reports, len(task.left_out))
    reasons = tuple(own.document["reason"] for own in reports if own.document["status"] == "failed")
    warnings = (*_warnings(numbers, task, after), *reasons)
    for warning in warnings:
        progress.message(f"warning: {warning}")
    if report is not None:
        document = {
            "config": config.model_dump(mode="json"),
            "left_out": [{"file_name": name, "split": split} for split, name in task.left_out],
            "numbers": numbers,
            "pictures": [own.document for own in reports],
        }
        write_json(report, document, compact=True)
    if sheet is not None:
        _write_sheet(sheet, pictures, reports, check)
    held = numbers["labels"]["accepted"], sum(numbers["labels"].values())
    ok = not reasons and (fail_below is None or (held[1] > 0 and held[0] >= fail_below * held[1]))
    return StageSummary("check-labels", report, numbers, warnings, open_file=sheet, ok=ok)


def _task(before: Path, after: Path) -> _Task:
    """All pictures, every file before seen to be there, and those after to be of the same size."""
    dataset = read_dataset(before)
    if not after.is_dir():
        raise InputError(f"{after}: no such folder; expected the rewritten pictures of {before}")
    files = split_files(before)
    found: list[_Picture] = []
    left_out: list[tuple[str, str]] = []
    crowds = 0
    for name, split in dataset.splits.items():
        rewritten = _folders(after, name, files[name])
        own: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            if annotation.iscrowd:
                crowds += 1
            else:
                own[annotation.image_id].append(annotation)
        for record in split.images:
            pair = files[name].locate(record.file_name), rewritten.locate(record.file_name)
            if not pair[1].is_file():
                left_out.append((name, record.file_name))
                continue
            sizes = [image_size(path) for path in pair]
            if sizes[0] != sizes[1]:
                raise InputError(f"picture {pair[1]} is {_size(sizes[1])} pixels, {pair[0]} is {_size(sizes[0])}")
            if sizes[0] != (record.width, record.height):
                raise InputError(
                    f"picture {pair[0]} is {_size(sizes[0])} pixels, its labels were made for "
                    f"{record.width}x{record.height}; garbage-synth validate lists all defects"
                )
            found.append(_Picture(len(found), name, record.file_name, *pair, tuple(own[record.id])))
    if not found and not left_out:
        raise InputError(f"dataset {before} lists no picture")
    if not found:
        raise InputError(f"{after} holds none of the pictures of {before}")
    owners: dict[Path, _Picture] = {}
    for picture in found:
        other = owners.setdefault(picture.after, picture)
        if other is not picture:
            raise InputError(f"{other.before} and {picture.before} would both be compared with {picture.after}")
    return _Task(tuple(found), tuple(left_out), crowds)


def _folders(root: Path, split: str, files: SplitFiles) -> SplitFiles:
    """Where the rewritten pictures of a split may lie."""
    candidates = (root / "images" / split, root / split, root / "images", root)
    return SplitFiles(files.annotations, tuple(folder for folder in candidates if folder.is_dir()))


def _verdict(
    picture: _Picture, pixels: tuple[NDArray[np.uint8], NDArray[np.uint8]], check: LabelCheck
) -> tuple[tuple[Label, ...], FrameVerdict]:
    before_rgb, after_rgb = pixels
    height, width = before_rgb.shape[:2]
    labels = labels_of(picture.annotations, (height, width), str(picture.before))
    return labels, check(before_rgb, after_rgb, labels)


def _numbers(reports: Sequence[_Report], left_out: int) -> dict[str, Any]:
    items = [item for own in reports for item in own.document["items"]]
    status = Counter(item["status"] for item in items)
    shifts = [item["shift_px"] for item in items if item["status"] != "dropped"]
    return {
        "pictures": len(reports),
        "left_out": left_out,
        "pictures_failed": sum(own.document["status"] == "failed" for own in reports),
        "pictures_rejected": sum(own.document["status"] == "rejected" for own in reports),
        "labels": {name: status[name] for name in STATUSES},
        "hold": round(status["accepted"] / len(items), 4) if items else None,
        "hold_or_adjustable": round(1 - status["dropped"] / len(items), 4) if items else None,
        "shift_px": {
            "median": round(float(np.median(shifts)), 2) if shifts else 0.0,
            "largest": max(shifts, default=0.0),
        },
        "invented": sum(len(own.document["invented"]) for own in reports),
    }


def _warnings(numbers: dict[str, Any], task: _Task, after: Path) -> tuple[str, ...]:
    warnings = []
    if task.left_out:
        names = ", ".join("/".join(own) for own in task.left_out[:SHOWN])
        more = ", ..." if len(task.left_out) > SHOWN else ""
        total = len(task.left_out) + len(task.pictures)
        warnings.append(
            f"{len(task.left_out)} of {total} pictures are not in {after} and were not checked: {names}{more}"
        )
    if numbers["pictures_rejected"]:
        warnings.append(
            f"{numbers['pictures_rejected']} of {numbers['pictures']} pictures lost too many of their items"
        )
    if not sum(numbers["labels"].values()):
        warnings.append("there is no label to check")
    if task.crowds:
        warnings.append(f"{task.crowds} crowd regions were not checked")
    return tuple(warnings)


def _write_sheet(out: Path, pictures: Sequence[_Picture], reports: Sequence[_Report], check: LabelCheck) -> None:
    """The worst pictures, worst first; they are checked once more, which gives the same verdicts."""
    rows = []
    readable = (own for own in reports if own.document["status"] != "failed")
    for own in sorted(readable, key=lambda own: (own.rank, own.index))[:SHEET_PICTURES]:
        picture = pictures[own.index]
        pixels = read_rgb(picture.before), read_rgb(picture.after)
        labels, verdict = _verdict(picture, pixels, check)
        title = f"{picture.split}/{picture.file_name}: {verdict.status}"
        rows.append(draw_verdict(*pixels, labels, verdict, title))
    if rows:
        write_bytes(out, encode_jpeg(contact_sheet(rows), 90))


def _refuse_loss(out: Path, datasets: Sequence[Path], overwrite: bool) -> None:
    for root in datasets:
        if out.resolve().is_relative_to(root.resolve()):
            raise InputError(f"output {out} lies inside {root}; choose another place")
    if out.is_dir():
        raise InputError(f"output {out} is a folder, a file was expected")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"output {out} exists; give --overwrite to replace it, or another name")


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
