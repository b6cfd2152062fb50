"""The end of `refine`: the verdicts on all pictures joined into the dataset's labels and statistics."""

import heapq
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from garbage_synth.core.types import Dataset, Split
from garbage_synth.fidelity.sheet import contact_sheet
from garbage_synth.formats import coco, yolo
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.dataset import read_document, split_files
from garbage_synth.io.images import encode_jpeg, read_rgb
from garbage_synth.stages.label_verdicts import OnDrift, carried, rank_of
from garbage_synth.stages.refine_picture import RECORDS, Picture, record_path, row_path

__all__ = ["SHEET_FILE", "SHEET_PICTURES", "Outcome", "has_yolo", "join_labels", "remove_records"]

SHEET_FILE = "label_check.jpg"
SHEET_PICTURES = 12
SHOWN = 3  # names in a warning
SCENES_FILE = "scenes.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """numbers: JSON-ready counts and rates of what was written. ok: no picture failed, no split was emptied, and under
    "fail" every label holds."""

    numbers: Mapping[str, Any]
    warnings: tuple[str, ...]
    ok: bool


@dataclass(slots=True)
class _Tally:
    status: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    shifts: list[float] = field(default_factory=list)
    warps: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    invented: list[tuple[float, str]] = field(default_factory=list)
    worst: list[tuple[tuple[float, float], str, Path]] = field(default_factory=list)
    written: int = 0
    images: dict[str, int] = field(default_factory=dict)
    emptied: list[str] = field(default_factory=list)

    def add(self, name: str, entry: Mapping[str, Any], row: Path) -> None:
        """One picture's verdict."""
        self.frames[entry["status"]] += 1
        if entry["status"] == "failed":
            self.reasons.append(entry["reason"])
        for item in entry["items"]:
            self.status[item["status"]] += 1
            if item["status"] != "dropped":
                self.shifts.append(item["shift_px"])
            if "warp_px" in item:
                self.warps.append(item["warp_px"])
        self.invented += [(own["score"], name) for own in entry["invented"]]
        if row.is_file():
            self.worst.append((rank_of(entry), name, row))


def join_labels(
    root: Path, dataset: Dataset, out: Path, pictures: Sequence[Picture], on_drift: OnDrift, drop_rejected: bool
) -> Outcome:
    """Write the labels of `dataset`, read from root, to out as the records of the pictures say, and the sheet of the
    worst pictures. Fields of the COCO files that nobody here knows go along; a file that does not change is copied."""
    tally = _Tally()
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for picture in pictures:
        entry = json.loads(record_path(out, picture).read_text(encoding="utf-8"))
        tally.add(picture.name, entry, row_path(out, picture))
        entries[picture.split, picture.image_id] = entry
    documents = {}
    unchanged: dict[str, Path] = {}
    for name, files in split_files(root).items():
        document = read_document(files.annotations)
        own = {image_id: entry for (split, image_id), entry in entries.items() if split == name}
        documents[name] = _document(_with_sizes(document, dataset.splits[name]), own, on_drift, drop_rejected)
        if documents[name] == document:
            unchanged[name] = files.annotations
    _write(root, dataset, documents, out)
    for name, path in unchanged.items():
        write_bytes(out / "annotations" / f"instances_{name}.json", path.read_bytes())
    tally.written = sum(len(document["annotations"]) for document in documents.values())
    tally.images = {name: len(document["images"]) for name, document in documents.items()}
    tally.emptied = sorted(name for name, count in tally.images.items() if not count and dataset.splits[name].images)
    if tally.worst:
        rows = heapq.nsmallest(SHEET_PICTURES, tally.worst)
        write_bytes(out / SHEET_FILE, encode_jpeg(contact_sheet([read_rgb(row) for _, _, row in rows]), 90))
    return _outcome(tally, on_drift, drop_rejected)


def has_yolo(root: Path) -> bool:
    """Whether a dataset has YOLO labels, which then go along."""
    return (root / "data.yaml").is_file() or (root / "labels").is_dir()


def remove_records(out: Path) -> None:
    """Remove the per-picture records, once the dataset is finished."""
    shutil.rmtree(out / RECORDS, ignore_errors=True)


def _with_sizes(document: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """The document with the sizes of pictures that it leaves out."""
    sizes = {record.id: {"height": record.height, "width": record.width} for record in split.images}
    return {**document, "images": [{**sizes[image["id"]], **image} for image in document["images"]]}


def _document(
    document: Mapping[str, Any], entries: Mapping[int, Mapping[str, Any]], on_drift: OnDrift, drop_rejected: bool
) -> dict[str, Any]:
    """A COCO document after the verdicts on its pictures, by image id."""
    changes = on_drift in ("adjust", "drop")
    images, annotations = [], []
    gone = set()
    for image in document["images"]:
        entry = entries[image["id"]]
        rejected = entry["status"] == "rejected"
        if entry["status"] == "failed" or (rejected and changes and drop_rejected):
            gone.add(image["id"])
            continue
        found = {} if entry["status"] == "unchecked" else {"fidelity": _of_picture(entry, changes)}
        images.append({**_unmarked(image), **found})
    verdicts = {(image_id, item["id"]): item for image_id, entry in entries.items() for item in entry["items"]}
    moved = {
        (image_id, own["id"]): own["fields"] for image_id, entry in entries.items() for own in entry.get("moved", ())
    }
    for annotation in map(_unmarked, document.get("annotations", [])):
        image_id = annotation["image_id"]
        if image_id in gone:
            continue
        if changes and entries[image_id]["status"] == "rejected":
            annotations.append({**annotation, "fidelity": {"status": "rejected"}})
            continue
        key = image_id, annotation["id"]
        fields = moved.get(key, {})
        if fields is None:  # deformed until nothing of it was left
            continue
        annotation |= fields
        # without a verdict: a crowd region, or nothing was checked
        going_on = carried(annotation, verdicts[key], on_drift) if key in verdicts else annotation
        if going_on is not None:
            annotations.append(going_on)
    return {**document, "annotations": annotations, "images": images}


def _unmarked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An image or annotation without what an earlier check found."""
    return {key: value for key, value in entry.items() if key != "fidelity"}


def _of_picture(entry: Mapping[str, Any], changes: bool) -> dict[str, Any]:
    rejected = entry["status"] == "rejected"
    if rejected and not changes:
        return {"invented": entry["invented"], "status": "kept", "would_reject": True}
    return {"invented": entry["invented"], "status": entry["status"]}


def _write(root: Path, dataset: Dataset, documents: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    splits = {}
    for name, document in documents.items():
        _, splits[name] = coco.decode(document, source=name)
    if has_yolo(root):
        for label, text in sorted(yolo.encode(replace(dataset, splits=splits)).items()):
            write_text(out / label, text)
    for name, document in documents.items():
        write_json(out / "annotations" / f"instances_{name}.json", document, compact=True)
    if (root / SCENES_FILE).is_file():
        left = {(name, image["file_name"]) for name, document in documents.items() for image in document["images"]}
        lines = (root / SCENES_FILE).read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(out / SCENES_FILE, "".join(line for line in lines if _goes_on(line, left)))


def _goes_on(line: str, left: set[tuple[str, str]]) -> bool:
    """Whether a recipe is that of a picture which is still there; lines that name none stay."""
    try:
        recipe = json.loads(line)
        return (recipe["split"], recipe["file_name"]) in left
    except (ValueError, KeyError, TypeError):
        return True


def _outcome(tally: _Tally, on_drift: OnDrift, drop_rejected: bool) -> Outcome:
    checked = sum(tally.status.values())
    hold = tally.status["accepted"] / checked if checked else None
    numbers: dict[str, Any] = {
        "annotations": tally.written,
        "labels": {name: tally.status[name] for name in ("accepted", "adjusted", "dropped")},
        "hold": None if hold is None else round(hold, 4),
        "images": tally.images,
        "shift_px_median": round(float(np.median(tally.shifts)), 2) if tally.shifts else 0.0,
        "pictures_rejected": tally.frames["rejected"],
        "pictures_failed": tally.frames["failed"],
        "invented": len(tally.invented),
    }
    if tally.warps:
        numbers["warp_px_median"] = round(float(np.median(tally.warps)), 2)
    warnings = []
    total = sum(tally.frames.values())
    if tally.frames["rejected"]:
        fate = {"adjust": "they keep their old pixels", "drop": "they keep their old pixels"}.get(
            on_drift, "they are kept all the same"
        )
        fate = "they are left out" if drop_rejected else fate
        warnings.append(f"{tally.frames['rejected']} of {total} pictures lost too many of their items: {fate}")
    if tally.invented:
        names = ", ".join(dict.fromkeys(name for _, name in heapq.nlargest(SHOWN, tally.invented)))
        warnings.append(f"{len(tally.invented)} things were invented, the clearest in {names}; see {SHEET_FILE}")
    if tally.reasons:
        warnings.append(f"{len(tally.reasons)} pictures are left out: {'; '.join(tally.reasons[:SHOWN])}")
    if on_drift == "fail" and tally.status["accepted"] < checked:
        warnings.append(f"{checked - tally.status['accepted']} of {checked} labels do not hold; see {SHEET_FILE}")
    if tally.emptied:
        warnings.append(f"no picture is left in {', '.join(tally.emptied)}")
    drifted = on_drift == "fail" and (tally.status["accepted"] < checked or tally.frames["rejected"] > 0)
    return Outcome(numbers, tuple(warnings), ok=not (drifted or tally.emptied or tally.reasons))
