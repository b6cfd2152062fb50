"""What the scripts beside this file share: arguments, exports, the check of what a reader hands out, the score.

A box on its way is a COCO result, a dict of image_id, category_id, bbox (x, y, width, height in pixels) and score. Only
the standard library is needed, and pycocotools for the score.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = [
    "SPLITS",
    "boxes_of",
    "check",
    "device",
    "document",
    "export",
    "offline",
    "parser",
    "score",
    "start",
    "tell",
]

SPLITS = ("train", "val")


def parser(description: str, *, out: bool = True, epochs: int | None = None) -> argparse.ArgumentParser:
    """Arguments that scripts have in common: all, those that write (`out`), those that train (default of `epochs`)."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("dataset", type=Path, help="dataset of garbage-synth: images/, annotations/")
    if out:
        made.add_argument("--out", type=Path, required=True, help="folder for what is made; missing or empty")
        made.add_argument("--garbage-synth", default="garbage-synth", help="the command, where it is not on the PATH")
    if epochs is not None:
        made.add_argument("--epochs", type=int, default=epochs)
        made.add_argument("--batch", type=int, default=4, help="pictures in a batch")
        made.add_argument("--device", help="cpu, cuda or cuda:N; default: a GPU where there is one")
    return made


def start(parser: argparse.ArgumentParser) -> Any:
    """The parsed arguments; ends with one line where the dataset is none or the output folder is taken."""
    arguments = parser.parse_args()
    for split in SPLITS:
        labels = arguments.dataset / "annotations" / f"instances_{split}.json"
        if not labels.is_file():
            sys.exit(f"{labels}: missing; give the folder that `garbage-synth composite` or `refine` made")
    out = getattr(arguments, "out", None)
    if out is not None:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            sys.exit(f"{out}: is not empty; give another --out")
        out.mkdir(parents=True, exist_ok=True)
    return arguments


def offline() -> None:
    """Forbids the libraries to look for the network; to be called before they are imported."""
    os.environ.update(HF_HUB_OFFLINE="1", YOLO_OFFLINE="true")


def device(arguments: Any) -> str:
    """The device to train on."""
    import torch

    return arguments.device or ("cuda:0" if torch.cuda.is_available() else "cpu")


def export(arguments: Any, layout: str) -> Path:
    """The dataset in another layout, made by `garbage-synth export` under the output folder."""
    command, folder = shutil.which(arguments.garbage_synth), arguments.out / f"dataset_{layout}"
    if command is None:
        sys.exit(f"{arguments.garbage_synth}: no such command; activate its environment or give --garbage-synth PATH")
    done = subprocess.run([command, "export", str(arguments.dataset), "--format", layout, "--out", str(folder)])
    if done.returncode:
        sys.exit(done.returncode)
    return folder


def document(dataset: Path, split: str) -> Any:
    """The COCO document of a split, and under "path" its file."""
    path = dataset / "annotations" / f"instances_{split}.json"
    return json.loads(path.read_text(encoding="utf-8")) | {"path": str(path)}


def boxes_of(image_id: int, corners: Iterable[Sequence[float]], categories: Any, scores: Any = None) -> list[Any]:
    """COCO results of one picture; `corners` are x0, y0, x1, y1 in its pixels, and labels have the score 1."""
    rows = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in corners]
    return [
        {"image_id": image_id, "category_id": int(key), "bbox": [x0, y0, x1 - x0, y1 - y0], "score": float(score)}
        for (x0, y0, x1, y1), key, score in zip(rows, categories, scores or [1.0] * len(rows), strict=True)
    ]


def check(truth: Any, pictures: int, boxes: Iterable[Any], tolerance_px: float = 0.5) -> dict[str, Any]:
    """Counts of what a reader hands out and its largest error in pixels; ends where a picture or a box is not ours.

    Args:
        truth: The COCO document.
        pictures: How many pictures the reader has, those without items among them.
        boxes: All its boxes of the split, as `boxes_of` makes them.
        tolerance_px: How far an edge may lie from ours.
    """
    name = truth["path"]
    if pictures != len(truth["images"]):
        sys.exit(f"{name}: {len(truth['images'])} pictures, the reader has {pictures}")
    left, worst, count = defaultdict(list), 0.0, 0
    for box in boxes:
        left[box["image_id"], box["category_id"]].append(box["bbox"])
    for entry in truth["annotations"]:
        found = left[entry["image_id"], entry["category_id"]]
        errors = [max(abs(a - b) for a, b in zip(box, entry["bbox"], strict=True)) for box in found]
        if not errors or min(errors) > tolerance_px:
            sys.exit(f"{name}: annotation {entry['id']} is lost or moved: {entry['bbox']}, the reader has {found}")
        worst, count = max(worst, min(errors)), count + 1
        found.pop(errors.index(min(errors)))
    if any(left.values()):
        sys.exit(f"{name}: the reader has boxes that are not in it: {[key for key in left if left[key]]}")
    return {"pictures": pictures, "boxes": count, "error_px": round(worst, 4)}


def score(truth: Any, boxes: list[Any]) -> dict[str, float]:
    """AP at IoU 0.50:0.95, AP50 and AR of 100 boxes a picture, 0..1, by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not boxes:
        return {"AP": 0.0, "AP50": 0.0, "AR100": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        reader = COCO(truth["path"])
        evaluation = COCOeval(reader, reader.loadRes(boxes), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: round(float(evaluation.stats[index]), 4) for name, index in (("AP", 0), ("AP50", 1), ("AR100", 8))}


def tell(packages: Sequence[str], **numbers: Any) -> None:
    """The last line: what ran, in which versions, with what numbers, as JSON."""
    print(json.dumps({"versions": {name: version(name) for name in packages}} | numbers))
