"""The benchmark of the training step runs, and what it measures against computes what training computes."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from garbage_synth.gan.networks import count_parameters

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gan_step.py"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("gan_step")


def bench(module: Any, size: int = 32, channels: int = 2, generator: str = "resnet6") -> Any:
    return module.Bench(torch.device("cpu"), generator, size, channels, 0.0)


def gradients_of(step: Any, size: int = 32) -> list[torch.Tensor]:
    """Of each network, from its first step."""
    pair = torch.randint(0, 256, (2, 1, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    step(*pair)
    members = (getattr(step._networks, name) for name in ("to_real", "to_synthetic", "judge_real", "judge_synthetic"))
    return [torch.cat([p.grad.reshape(-1) for p in network.parameters()]) for network in members]


def test_reference_and_levers_make_the_same_step(module: Any) -> None:
    plain = gradients_of(module.PaperStep(bench(module), module.Levers()))
    joint = gradients_of(module.PaperStep(bench(module), module.Levers(joint=True, fused=True)))
    for one, other in zip(plain, joint, strict=True):
        assert float((one - other).norm()) < 1e-3 * float(one.norm())


def test_arithmetic_of_a_pair_is_that_of_the_published_networks(module: Any) -> None:
    assert module.flop_per_pair(bench(module, 256, 64, "resnet9")) == pytest.approx(1.885e12, rel=1e-3)
    assert count_parameters(module.GeneratorSpec("resnet9", 64).build()) == 11_378_179


def test_every_row_is_compared_and_what_cannot_run_says_why(module: Any) -> None:
    made = bench(module)
    reference = module.Way(made, module.PaperStep(made, module.Levers()))

    def broken() -> Any:
        raise RuntimeError("no such thing\nhere")

    assert module.compare(made, reference, broken) == {"absent": "no such thing here"}
    row = module.compare(made, reference, lambda: module.Way(made, module.product_step(made, "auto")))
    assert row["rounds"] == 3
    assert row["ratio_min"] <= row["ratio"] <= row["ratio_max"]


@pytest.mark.slow
def test_script_prints_a_line_of_json_and_keeps_it(tmp_path: Path) -> None:
    small = ["--size", "32", "--channels", "2", "--seconds", "0", "--threads", "1", "--generator", "resnet6"]
    command = [sys.executable, str(SCRIPT), *small, "--device", "cpu", "--only", "train-gan", "+ joint calls", "--json"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path / "new" / "r.jsonl")], check=True, capture_output=True, text=True
    )
    report = json.loads(done.stdout)
    assert list(report["rows"]) == ["+ joint calls", "train-gan"]
    assert report["loader_pairs_per_s"]["1"] > 1
    assert json.loads((tmp_path / "new" / "r.jsonl").read_text()) == report
