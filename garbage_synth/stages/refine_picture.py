"""The parts of `refine` around the generator: one picture read, and one checked and written."""

import json
import threading
from bisect import bisect, insort
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.fidelity.sheet import draw_verdict
from garbage_synth.io.atomic import write_bytes, write_json
from garbage_synth.io.images import encode_jpeg, encode_png, read_rgb
from garbage_synth.stages.label_displacement import Followed, follow, mean_warp_px, moved_picture
from garbage_synth.stages.label_verdicts import OnDrift, frame_entry, labels_of, rank_of

__all__ = ["RECORDS", "FinishPicture", "Picture", "Rewritten", "WorstRows", "read_picture", "record_path", "row_path"]

RECORDS = ".records"  # one file per finished picture, until all are joined; hidden, so that no reader takes it for data

Pixels = NDArray[np.uint8]

Rewritten = tuple[Pixels, Pixels, NDArray[np.float32] | None]
"""A picture before, after, and its displacement, float32 (h, w, 2) in pixels, where the generator tells one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to rewrite: where it is read and written, its size, its split and id, its annotations."""

    source: Path
    target: Path
    size_wh: tuple[int, int]
    split: str
    image_id: int
    annotations: tuple[Annotation, ...]

    @property
    def name(self) -> str:
        """What the picture is called in messages: <split>/<file name>."""
        return f"{self.split}/{self.target.name}"

    @property
    def checkable(self) -> tuple[Annotation, ...]:
        """The annotations of single items; a crowd region has no motion of its own."""
        return tuple(annotation for annotation in self.annotations if not annotation.iscrowd)


def record_path(out: Path, picture: Picture) -> Path:
    """Where the verdict on a finished picture lies (see `frame_entry`); status "failed" with a reason where there is
    no picture."""
    return out / RECORDS / picture.split / f"{picture.image_id}.json"


def row_path(out: Path, picture: Picture) -> Path:
    """Where the drawing of a finished picture lies, if it is one of the worst so far."""
    return record_path(out, picture).with_suffix(".jpg")


def read_picture(picture: Picture) -> Pixels | InputError:
    """The pixels, RGB uint8 (h, w, 3), or the reason why there are none."""
    try:
        return read_rgb(picture.source)
    except InputError as error:
        return error


class WorstRows:
    """The drawings of the worst pictures so far, at most `limit` files, whatever the order they come in.

    May be called by several threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: list[tuple[tuple[float, float], str, Path]] = []
        self._lock = threading.Lock()

    def takes(self, rank: tuple[float, float], name: str, path: Path) -> bool:
        """Whether a drawing would be among them now; one that would not never will."""
        with self._lock:
            return bisect(self._rows, (rank, name, path)) < self._limit

    def add(self, rank: tuple[float, float], name: str, path: Path, content: bytes | None = None) -> None:
        """Write a drawing, or count one that is there, and remove the one that is not among the worst any longer."""
        with self._lock:
            if content is not None:
                write_bytes(path, content)
            insort(self._rows, (rank, name, path))
            for _, _, better in self._rows[self._limit :]:
                better.unlink(missing_ok=True)
            del self._rows[self._limit :]


@dataclass(frozen=True, slots=True)
class FinishPicture:
    """(picture, what was rewritten or why nothing was) -> files below `out`, the record last.

    Where the generator tells a displacement, labels follow it first, unless `on_drift` is to keep them. What is checked
    then is whether it did anything else to them: the picture before is displaced too.
    """

    out: Path
    check: LabelCheck | None
    on_drift: OnDrift
    drop_rejected: bool
    jpeg_quality: int
    worst: WorstRows

    def takes_up(self, picture: Picture) -> bool:
        """Whether the picture was finished before, its drawing counted again; one that could not be read is tried
        again."""
        path, row = record_path(self.out, picture), row_path(self.out, picture)
        if not path.is_file():
            return False
        entry = json.loads(path.read_text(encoding="utf-8"))
        if row.is_file():
            self.worst.add(rank_of(entry), picture.name, row)
        return bool(entry["status"] != "failed")

    def __call__(self, picture: Picture, pixels: Rewritten | InputError) -> None:
        """Check the labels and write what goes on."""
        if isinstance(pixels, InputError):
            self._record(picture, {"invented": [], "items": [], "reason": str(pixels), "status": "failed"})
            return
        before, after, displacement = pixels
        entry: dict[str, Any] = {"invented": [], "items": [], "status": "unchecked"}
        followed: dict[int, Followed] = {}
        if displacement is not None and self.on_drift != "keep":
            source = str(picture.source)
            labels = labels_of(picture.annotations, before.shape[:2], source)
            found = follow(picture.annotations, labels, displacement, source)
            followed = {annotation.id: own for annotation, own in zip(picture.annotations, found, strict=True)}
            before = moved_picture(before, displacement)
        if self.check is not None:
            if followed:
                labels = tuple(followed[annotation.id].label for annotation in picture.checkable)
            else:
                labels = labels_of(picture.checkable, before.shape[:2], str(picture.source))
            verdict = self.check(before, after, labels)
            entry = frame_entry(verdict, picture.checkable)
            if displacement is not None:
                for item, label in zip(entry["items"], labels, strict=True):
                    item["warp_px"] = round(mean_warp_px(label, displacement), 3)
            place = rank_of(entry), picture.name, row_path(self.out, picture)
            imperfect = verdict.invented or any(own.status != "accepted" for own in verdict.verdicts)
            if imperfect and self.worst.takes(*place):
                row = draw_verdict(before, after, labels, verdict, f"{picture.name}: {verdict.status}")
                self.worst.add(*place, encode_jpeg(row, 90))
        entry["moved"] = [
            {"fields": own.fields, "id": number} for number, own in followed.items() if own.fields or own.fields is None
        ]
        if entry["status"] == "rejected" and self.on_drift in ("adjust", "drop"):
            if not self.drop_rejected:
                write_bytes(picture.target, picture.source.read_bytes())
        else:
            png = picture.target.suffix.lower() == ".png"
            write_bytes(picture.target, encode_png(after) if png else encode_jpeg(after, self.jpeg_quality))
        self._record(picture, entry)

    def _record(self, picture: Picture, entry: dict[str, Any]) -> None:
        write_json(record_path(self.out, picture), entry, compact=True)
