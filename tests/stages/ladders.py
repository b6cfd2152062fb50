"""Stand-ins for the stages that train and judge detectors, and a small ladder."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml

from garbage_synth.config.base import StageConfig
from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.errors import GarbageSynthError
from garbage_synth.io.output import fingerprint, open_output
from tests.makers import drawn_dataset, write_tree

CALLS: list[str] = []
"""What ran: "train a_0", with :O where it was to overwrite and :R where it was to resume."""

CACHES_GB: list[float] = []
"""What the detectors were given for pictures in memory."""

FAILING: set[str] = set()
"""Names of folders whose making fails; "name!" by an error that nobody expected, "name^" by Ctrl-C."""


class DetectorConfig(StageConfig):
    """Settings of the stand-in."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"cache_gb", "log_every"})

    cache_gb: float = 2.0
    learning_rate: float = 0.01
    log_every: int = 20


def train_detector(
    dataset: Path,
    out: Path,
    *,
    model: str = "fcos-small",
    epochs: int | None = None,
    iterations: int | None = None,
    split: str | None = None,
    weights: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    config: DetectorConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """A "detector" that knows the number of items it was trained on."""
    identity = {"dataset": fingerprint([dataset]), "iterations": iterations, "seed": seed}
    output = open_output(
        out, stage="train-detector", identity=identity, inputs=[dataset], overwrite=overwrite, resume=resume
    )
    flags = ("O" if overwrite else "") + ("R" if resume else "")
    CALLS.append(f"train {out.name}" + (f":{flags}" if flags else ""))
    CACHES_GB.append((config or DetectorConfig()).cache_gb)
    if output.finished:
        return StageSummary("train-detector", out, output.numbers)
    file = dataset / "annotations" / "instances_train.json" if dataset.is_dir() else dataset
    items = len(json.loads(file.read_text())["annotations"])
    (out / "checkpoint.pt").write_text("never the same twice")
    (out / "detector.safetensors").write_text(json.dumps({"items": items, "seed": seed}))
    _fail(out)
    numbers = {"seconds": 120.0 + seed, "images": 4, "iterations": iterations, "device": f"a {device}"}
    output.finish(numbers)
    return StageSummary("train-detector", out, numbers)


def evaluate(
    run: Path,
    truth: Path,
    out: Path | None = None,
    *,
    split: str | None = None,
    class_agnostic: bool = False,
    class_map: dict[str, str] | None = None,
    classes: tuple[str, ...] | None = None,
    device: str = "auto",
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """AP is a hundredth an item, and a thousandth a seed."""
    assert out is not None
    identity = {"run": fingerprint([run / "detector.safetensors"]), "truth": fingerprint([truth]), "split": split}
    output = open_output(
        out, stage="evaluate", identity=identity, inputs=[run, truth], overwrite=overwrite, resume=resume
    )
    CALLS.append(f"evaluate {out.name}")
    _fail(out)
    detector = json.loads((run / "detector.safetensors").read_text())
    ap = detector["items"] / 100 + detector["seed"] / 1000
    resampled = [ap + (number % 10 - 4.5) / 100 for number in range(100)]
    (out / "metrics.json").write_text(json.dumps({"ap_resampled": resampled}))
    (out / "detections.jpg").write_bytes(f"{ap}".encode())
    numbers = {"ap": ap, "ap50": ap * 2, "ap75": None, "per_class": {"can": {"ap": ap, "ap50": ap}}}
    output.finish(numbers)
    return StageSummary("evaluate", out, numbers, open_file=out / "detections.jpg")


def _fail(out: Path) -> None:
    name = f"{out.parent.name}/{out.name}"
    if name in FAILING:
        raise GarbageSynthError("memory ran out")
    if f"{name}!" in FAILING:
        raise RuntimeError("what\nis this")
    if f"{name}^" in FAILING:
        raise KeyboardInterrupt


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins in their places."""
    for name, function in (("train_detector", train_detector), ("evaluate", evaluate)):
        module = ModuleType(f"garbage_synth.stages.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    module = ModuleType("garbage_synth.config.detector")
    module.DetectorConfig = DetectorConfig  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    CALLS.clear()
    CACHES_GB.clear()
    FAILING.clear()


def small_ladder(folder: Path) -> dict[str, Any]:
    """The content of a ladder file; `folder` now holds the pictures that it reads."""
    if not (folder / "real").exists():
        write_tree(folder / "real", drawn_dataset({"train": [(32, 24)] * 8, "test": [(32, 24)] * 2}, seed=1))
        write_tree(folder / "drawn", drawn_dataset({"train": [(32, 24)] * 4}, seed=2))
    return {
        "out": "made",
        "stages": [
            {"name": "few", "stage": "subset", "dataset": "drawn", "count": 2},
            {"name": "other", "stage": "subset", "dataset": "${stages.few.out}", "count": 1},
            {"name": "both", "stage": "merge", "datasets": ["${stages.few.out}", "real"]},
        ],
        "test": {"data": "real", "split": "test"},
        "detector": {"iterations": 5, "config": {"learning_rate": 0.5}},
        "seeds": [0, 2],
        "gap": {"from": "a", "to": "e"},
        "arms": {
            "a": {"name": "few", "train": "${stages.few.out}"},
            "e": {"train": "real"},
            "f": {"name": "few and real", "train": "${stages.both.out}"},
        },
    }


def write_ladder(folder: Path, document: Any) -> Path:
    """The file."""
    path = folder / "ladder.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path
