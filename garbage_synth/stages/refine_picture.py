"""The parts of `refine` around the generator: one picture read, and one checked and written."""

import json
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
from garbage_synth.stages.label_verdicts import OnDrift, frame_entry, labels_of

__all__ = ["RECORDS", "FinishPicture", "Picture", "Rewritten", "read_picture", "record_path", "row_path"]

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
    def checkable(self) -> tuple[Annotation, ...]:
        """The annotations of single items; a crowd region has no motion of its own."""
        return tuple(annotation for annotation in self.annotations if not annotation.iscrowd)


def record_path(out: Path, picture: Picture) -> Path:
    """Where the verdict on a finished picture lies (see `frame_entry`); status "failed" with a reason where there is
    no picture."""
    return out / RECORDS / picture.split / f"{picture.image_id}.json"


def row_path(out: Path, picture: Picture) -> Path:
    """Where the drawing of a finished picture lies, if not all is well with it."""
    return record_path(out, picture).with_suffix(".jpg")


def read_picture(picture: Picture) -> Pixels | InputError:
    """The pixels, RGB uint8 (h, w, 3), or the reason why there are none."""
    try:
        return read_rgb(picture.source)
    except InputError as error:
        return error


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

    def is_done(self, picture: Picture) -> bool:
        """Whether the picture was finished before; one that could not be read is tried again."""
        path = record_path(self.out, picture)
        return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["status"] != "failed"

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
            if verdict.invented or any(own.status != "accepted" for own in verdict.verdicts):
                title = f"{picture.split}/{picture.target.name}: {verdict.status}"
                row = draw_verdict(before, after, labels, verdict, title)
                write_bytes(row_path(self.out, picture), encode_jpeg(row, 90))
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
