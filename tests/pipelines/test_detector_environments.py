"""The scripts that need an environment of their own, by the commands of the guide: `make test-consumers`.

Nothing may be downloaded: the way to the network is closed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.scripts import ROOT, SCRIPTS, counts, last_line, made_dataset, script_arguments

pytestmark = pytest.mark.consumers
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("consumers")


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Path:
    return made_dataset(folder / "coco")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """Runs a script in its environment and gives its last line, checked: every box arrives, labels score 1."""

    def call(name: str, dataset: Path, out: Path, *more: str, number: int = 0) -> Any:
        python = ROOT / ".venv-consumers" / name / "bin" / "python"
        assert python.is_file(), "run `make test-consumers`, which makes the environments"
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        homes = {name: str(folder / "home") for name in ("HF_HOME", "YOLO_CONFIG_DIR", "TORCH_HOME", "XDG_CACHE_HOME")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [python, SCRIPTS / f"{name}.py", *script_arguments(name, dataset, out, number), *more],
            env=os.environ | nowhere | homes | {"PATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        result = last_line(done.stdout)
        for split, (pictures, boxes) in counts(dataset).items():
            assert (result[split]["pictures"], result[split]["boxes"]) == (pictures, boxes)
            assert result[split]["error_px"] < 0.01
        if "train_s" in result:
            assert result["labels"] == {"AP": 1, "AP50": 1, "AR100": 1}
            assert 0 <= result["found"]["AP"] <= 1
        print(json.dumps(result))  # pytest -rP shows versions and times
        return result

    return call


def test_datumaro_reads_every_box_and_mask(run: Run, dataset: Path, tmp_path: Path) -> None:
    run("read_datumaro", dataset, tmp_path)


def test_ultralytics_trains_on_the_export_and_again_on_the_yolo_tree_from_its_own_weights(
    run: Run, dataset: Path, tmp_path: Path
) -> None:
    run("ultralytics_yolo", dataset, tmp_path / "first", "--size", "160")
    assert not list(dataset.rglob("*.cache"))
    weights = tmp_path / "first" / "train" / "weights" / "best.pt"
    tree = made_dataset(tmp_path / "yolo", ("coco", "yolo"))
    run("ultralytics_yolo", tree, tmp_path / "second", "--size", "160", "--pretrained", str(weights))
    assert not (tmp_path / "second" / "dataset_yolo").exists()


@pytest.mark.parametrize("model", ["rtdetr", "detr"])
def test_transformers_train_from_the_configuration_and_again_from_the_saved_model(
    run: Run, dataset: Path, tmp_path: Path, model: str
) -> None:
    first = run("transformers_detr", dataset, tmp_path / "first", "--size", "160", "--model", model)
    saved = str(tmp_path / "first" / "model")
    second = run("transformers_detr", dataset, tmp_path / "second", "--size", "160", "--pretrained", saved)
    assert second["loss"][0] < first["loss"][0]


def test_rf_detr_trains_from_scratch(run: Run, dataset: Path, tmp_path: Path) -> None:
    run("rf_detr", dataset, tmp_path / "run", "--size", "128")
    assert (tmp_path / "run" / "train" / "checkpoint_best_total.pth").is_file()
