"""A dataset's files put together one image after the other, in memory that does not grow with their number."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.formats import coco, yolo
from garbage_synth.io.atomic import write_text

__all__ = ["SplitWriter", "open_split", "open_text", "remove_temporaries", "write_yolo_classes"]


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text file to write to; it appears at `path` whole, when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class SplitWriter:
    """Takes the images of one split in the order of their ids; see `open_split`."""

    def __init__(self, root: Path, split: str, annotations: TextIO, images: TextIO, classes: Mapping[int, str] | None):
        self._root, self._split, self._annotations, self._images = root, split, annotations, images
        self._yolo_classes = classes
        self._annotation_count = 0
        self._image_count = 0

    def add(self, record: ImageRecord, annotations: Sequence[Annotation]) -> None:
        """Write one image and its annotations, which are numbered on from 1."""
        numbered = tuple(
            replace(annotation, id=number) for number, annotation in enumerate(annotations, self._annotation_count + 1)
        )
        alone = Dataset(categories=self._yolo_classes or {}, splits={self._split: Split((record,), numbered)})
        document = coco.encode(alone, self._split)
        for entry in document["annotations"]:
            self._annotations.write(f"{',' if self._annotation_count else ''}\n{_compact(entry)}")
            self._annotation_count += 1
        self._images.write(f"{',' if self._image_count else ''}\n{_compact(document['images'][0])}")
        self._image_count += 1
        if self._yolo_classes is not None:
            label = yolo.label_path(self._split, record.file_name)
            write_text(self._root / label, yolo.encode(alone)[label])


@contextmanager
def open_split(root: Path, split: str, dataset: Dataset, *, formats: Sequence[str]) -> Iterator[SplitWriter]:
    """A writer of annotations/instances_<split>.json and, with "yolo" in formats, of labels/<split>/*.txt.

    dataset: its categories, info and licenses are written; its splits are not looked at. The COCO file appears when
    the block ends; it is what `coco.encode` makes of the whole split, one entry per line.
    """
    head = coco.encode(replace(dataset, splits={split: Split((), ())}), split)
    with ExitStack() as stack:
        out = stack.enter_context(open_text(root / "annotations" / f"instances_{split}.json"))
        images = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
        out.write('{"annotations":[')
        yield SplitWriter(root, split, out, images, dataset.categories if "yolo" in formats else None)
        out.write(f'\n],\n"categories":{_compact(head["categories"])},\n"images":[')
        images.seek(0)
        shutil.copyfileobj(images, out)
        out.write(f'\n],\n"info":{_compact(head["info"])},\n"licenses":{_compact(head["licenses"])}}}\n')


def write_yolo_classes(root: Path, dataset: Dataset) -> None:
    """Write data.yaml for the categories and split names of a dataset."""
    empty = replace(dataset, splits={name: Split((), ()) for name in dataset.splits})
    write_text(root / "data.yaml", yolo.encode(empty)["data.yaml"])


def remove_temporaries(root: Path) -> None:
    """Remove what a killed run left half-written below `root`: our temporary files, which have hidden names."""
    for parent, _, names in os.walk(root):
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                Path(parent, name).unlink(missing_ok=True)


def _compact(entry: Any) -> str:
    return json.dumps(entry, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
