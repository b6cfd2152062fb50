"""The scripts of pipelines/detectors: a dataset for them, and how their guide calls them."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from garbage_synth.api import composite

__all__ = ["GUIDE", "ROOT", "SCRIPTS", "commands", "counts", "last_line", "made_dataset", "script_arguments"]

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "pipelines" / "detectors"
GUIDE = ROOT / "docs" / "train-a-detector.md"
CLASSES = ("glass_bottle", "metal_can", "paper")


def made_dataset(folder: Path, formats: Sequence[str] = ("coco",)) -> Path:
    """A dataset of composite, 8 train and 4 val pictures of 160x120 with three classes, one or more without items."""
    for category in CLASSES:
        (folder / "crops" / category).mkdir(parents=True)
        for path in sorted((ROOT / "sample_data" / "crops" / category).glob("*.png"))[:4]:
            shutil.copy(path, folder / "crops" / category)
    out, belts = folder / "dataset", ROOT / "sample_data" / "belts"
    options = {"items": (1, 3), "empty_fraction": 0.3, "val_fraction": 0.34, "seed": 3, "workers": 1}
    composite(folder / "crops", belts, out, count=12, size=(160, 120), formats=formats, **options)
    for split, pictures in (("train", 8), ("val", 4)):
        document = json.loads((out / "annotations" / f"instances_{split}.json").read_text())
        assert len(document["images"]) == pictures
        assert {entry["image_id"] for entry in document["annotations"]} < {entry["id"] for entry in document["images"]}
        assert len({entry["category_id"] for entry in document["annotations"]}) == len(CLASSES)
    return out


def counts(dataset: Path) -> dict[str, tuple[int, int]]:
    """Split -> pictures and boxes in its COCO file."""
    documents = {path.stem.split("_")[1]: json.loads(path.read_text()) for path in dataset.glob("annotations/*.json")}
    return {split: (len(document["images"]), len(document["annotations"])) for split, document in documents.items()}


def commands(page: Path) -> list[str]:
    """The lines of the page's bash blocks that call a script."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    lines = [line.split("#")[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if "pipelines/detectors/" in line]


def script_arguments(name: str, dataset: Path, out: Path, number: int = 0) -> list[str]:
    """Arguments of the guide's command `number` for a script, on this dataset, into this folder, for one epoch."""
    calls = [shlex.split(line) for line in commands(GUIDE) if f"/{name}.py " in line]
    words = calls[number][calls[number].index(f"pipelines/detectors/{name}.py") + 1 :]
    words[0] = str(dataset)
    for flag, value in (("--out", str(out)), ("--epochs", "1")):
        if flag in words:
            words[words.index(flag) + 1] = value
    return words


def last_line(text: str) -> Any:
    """The JSON that a script ends with."""
    return json.loads(text.strip().splitlines()[-1])
