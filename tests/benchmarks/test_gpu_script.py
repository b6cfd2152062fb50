"""The script for a GPU, at the smallest size on the CPU: its few results, and a second run that does nothing again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from garbage_synth.io.images import read_rgb

ROOT = Path(__file__).resolve().parents[2]
SMALLEST = {
    "ARMS": "resnet6",
    "STEPS": "4",
    "PROBE": "2",
    "CROP": "32",
    "CHANNELS": "2",
    "COUNT": "3",
    "SHOWN": "2",
    "SIZE": "160x120",
    "DEVICE": "cpu",
    "STEP_ARGS": "--size 32 --channels 2 --generator resnet6 --seconds 0 --threads 1 --only train-gan",
    "SPEED_ARGS": "--pictures 1 --channels 2",
    "OMP_NUM_THREADS": "1",
}


def small_sample(folder: Path) -> Path:
    """A few files of sample_data."""
    for pattern, count in (("crops/paper/*.png", 2), ("crops/metal_can/*.png", 2), ("real/images/train/*", 3)):
        for path in sorted((ROOT / "sample_data").glob(pattern))[:count]:
            target = folder / path.relative_to(ROOT / "sample_data")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copytree(ROOT / "sample_data" / "belts", folder / "belts")
    return folder


@pytest.mark.slow
def test_script_leaves_few_small_results_and_does_nothing_twice(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    environment = {**os.environ, **SMALLEST, "PYTHON": os.environ.get("PYTHON", sys.executable)}
    environment |= {"WORK": str(work), "OUT": str(out), "SAMPLE": str(small_sample(tmp_path / "sample"))}
    environment.pop("GARBAGE_SYNTH_REAL_DATA", None)

    def run() -> str:
        done = subprocess.run(
            ["bash", str(ROOT / "benchmarks" / "gpu" / "run.sh")], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run()
    names = {path.name for path in out.iterdir()}
    assert names == {"summary.md", "measurements.json", "stats.jsonl", "sheet_sample.jpg", "resnet6.safetensors"}
    assert all(0 < path.stat().st_size < 16 * 2**20 for path in out.iterdir())
    measured = json.loads((out / "measurements.json").read_text())
    assert measured["gan_step"]["rows"]["train-gan"]["ratio"] > 0
    assert measured["refine_speed"]["ratio"] > 0
    assert measured["trainings"]["sample/resnet6"]["train"]["steps"] == 4
    assert measured["trainings"]["sample/resnet6"]["refine"]["images"] == 2
    assert json.loads((out / "stats.jsonl").read_text().splitlines()[-1])["step"] == 4
    assert "| sample | resnet6 | 4 |" in (out / "summary.md").read_text()
    assert read_rgb(out / "sheet_sample.jpg").shape[1] == 2 * 484

    before = {path: path.stat().st_mtime_ns for path in (*out.iterdir(), *work.rglob("*"))}
    assert all(line.endswith(": done before") for line in run().splitlines())
    assert {path: path.stat().st_mtime_ns for path in (*out.iterdir(), *work.rglob("*"))} == before
