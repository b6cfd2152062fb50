"""`validate`: is a dataset fit for every consumer? Lists each defect with its file and id."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Annotation, Dataset, ImageRecord
from garbage_synth.errors import InputError
from garbage_synth.formats import yolo
from garbage_synth.formats.coco import is_safe_file_name
from garbage_synth.formats.coco_check import Finding, check_document, compare_categories
from garbage_synth.io.dataset import SplitFiles, read_dataset, read_document, read_text, split_files
from garbage_synth.io.folders import files_under
from garbage_synth.io.images import IMAGE_SUFFIXES, read_rgb

__all__ = ["validate"]

LABEL_TOLERANCE_PX = 0.5


def validate(dataset: Path, *, progress: Progress | None = None) -> StageSummary:
    """Checks a dataset tree (or one COCO file beside its pictures): documents, pictures, masks, YOLO labels.

    The summary is not ok (exit 1) where there is a defect; numbers["defects"] has one line each, "file: entry: what".
    What is merely unusual stands in warnings. Raises InputError where there is no dataset to check.
    """
    progress = progress or NullProgress()
    files = split_files(dataset)
    findings: list[Finding] = []
    documents: dict[str, dict[str, Any]] = {}
    for name, split in files.items():
        file = _relative(split.annotations, dataset)
        try:
            documents[name] = read_document(split.annotations)
        except InputError as error:
            findings.append(Finding(file, "", str(error)))
            continue
        findings += check_document(documents[name], file)
    names = {_relative(files[name].annotations, dataset): document for name, document in documents.items()}
    findings += compare_categories(names)

    located: dict[Path, str] = {}
    progress.start("checking pictures", sum(len(_images(document)) for document in documents.values()))
    for name, document in documents.items():
        for entry in _images(document):
            findings += _check_picture(entry, files[name], dataset, located)
            progress.advance()
    if dataset.is_dir():
        findings += _unlisted(files, located, dataset)
        if not any(finding.defect for finding in findings):
            # labels are compared with sound annotations only: what follows from a defect is no news
            findings += _check_labels(dataset, read_dataset(dataset))

    defects = [str(finding) for finding in findings if finding.defect]
    numbers = {
        "splits": {
            name: {"images": len(_images(document)), "annotations": len(document.get("annotations") or ())}
            for name, document in documents.items()
        },
        "defect_count": len(defects),
        "defects": defects,
    }
    warnings = tuple(str(finding) for finding in findings if not finding.defect)
    return StageSummary("validate", dataset, numbers, warnings, ok=not defects)


def _check_picture(
    entry: Mapping[str, Any], split: SplitFiles, root: Path, located: dict[Path, str]
) -> Iterator[Finding]:
    """Reads the picture of an image entry whole; located: picture -> the entry that listed it first."""
    file = _relative(split.annotations, root)
    path = split.locate(entry["file_name"])
    label = f"image {entry['id']}"
    if path in located:
        if located[path] != file:
            yield Finding(file, label, f"{_relative(path, root)} is listed in {located[path]} too")
        return
    located[path] = file
    if not path.is_file():
        yield Finding(file, label, f"{_relative(path, root)} does not exist")
        return
    try:
        height, width = read_rgb(path).shape[:2]
    except InputError as error:
        yield Finding(file, label, str(error))
        return
    if (width, height) != (entry.get("width"), entry.get("height")):
        listed = f"{entry.get('width')}x{entry.get('height')}"
        yield Finding(file, label, f"{_relative(path, root)} is {width}x{height} (EXIF turned), not {listed}")


def _unlisted(files: Mapping[str, SplitFiles], located: Mapping[Path, str], root: Path) -> Iterator[Finding]:
    """Pictures in the image folders that no split lists."""
    folders = {split.image_folders[0] for split in files.values()}
    known = {path.resolve() for path in located}
    for folder in sorted(folders):
        for path in files_under(folder):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.resolve() not in known:
                yield Finding(_relative(path, root), "", "lies among the pictures, but no split lists it")


def _check_labels(root: Path, dataset: Dataset) -> Iterator[Finding]:
    """Do labels/<split>/*.txt and data.yaml say the same as COCO? Nothing where there are none."""
    if not (root / "labels").is_dir():
        return
    yield from _check_data_yaml(root, dataset)
    expected = set()
    for name, split in dataset.splits.items():
        items: dict[int, list[Annotation]] = {record.id: [] for record in split.images}
        for annotation in split.annotations:
            if not annotation.iscrowd:
                items[annotation.image_id].append(annotation)
        for record in split.images:
            file = yolo.label_path(name, record.file_name)
            expected.add(root / file)
            yield from _compare_labels(root, file, record, items[record.id], sorted(dataset.categories))
    for path in files_under(root / "labels"):
        if path.suffix == ".txt" and path not in expected:
            yield Finding(_relative(path, root), "", "a label file without a picture")


def _compare_labels(
    root: Path, file: str, record: ImageRecord, items: list[Annotation], categories: list[int]
) -> Iterator[Finding]:
    try:
        lines = yolo.decode(read_text(root / file), (record.width, record.height), source=file)
    except InputError as error:
        yield Finding("", "", str(error).removeprefix(f"{root}/"))
        return
    for annotation in items:
        x, y, width, height = annotation.bbox_xywh
        for line in lines:
            label, box = line
            ends = (box[0] - x, box[1] - y, box[0] + box[2] - x - width, box[1] + box[3] - y - height)
            if categories.index(annotation.category_id) == label and max(map(abs, ends)) <= LABEL_TOLERANCE_PX:
                lines.remove(line)
                break
        else:
            yield Finding(file, f"annotation {annotation.id}", "has no line of the same class and box")
    for label, box in lines:
        text = ", ".join(f"{value:.1f}" for value in box)
        yield Finding(file, f"image {record.id}", f"class {label} at ({text}) px is in no COCO annotation")


def _check_data_yaml(root: Path, dataset: Dataset) -> Iterator[Finding]:
    try:
        document = yaml.safe_load(read_text(root / "data.yaml"))
    except (InputError, ValueError, yaml.YAMLError) as error:  # ValueError: a date that does not exist
        yield Finding("data.yaml", "", f"cannot be read: {error}".replace("\n", " "))
        return
    names = document.get("names") if isinstance(document, dict) else None
    listed = list(names.values()) if isinstance(names, dict) else names
    expected = [dataset.categories[key] for key in sorted(dataset.categories)]
    if listed != expected:
        yield Finding("data.yaml", "", f"names are {listed}, the COCO categories are {expected}")


def _images(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The image entries whose picture can be looked for."""
    entries = document.get("images")
    if not isinstance(entries, list):
        return []
    return [e for e in entries if isinstance(e, Mapping) and is_safe_file_name(e.get("file_name")) and "id" in e]


def _relative(path: Path, root: Path) -> str:
    base = root if root.is_dir() else root.parent
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
