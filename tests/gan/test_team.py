"""Two processes on one machine, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from garbage_synth.config.gan import GanConfig
from garbage_synth.errors import InputError
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.generator_file import load_generator
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.team import ALONE, Team, local_device
from tests.gan.test_train_gan import SETTINGS, call, fill

SETTINGS_OF_ALL = {**SETTINGS, "ema_decay": 0.9, "pool_size": 0}


def launch(out: Path, folders: tuple[Path, Path], *flags: str) -> subprocess.CompletedProcess[str]:
    """`garbage-synth train-gan` in two processes of torchrun."""
    command = [
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"),
        *(
            sys.executable,
            "-m",
            "garbage_synth",
            "train-gan",
            "--synthetic",
            str(folders[0]),
            "--real",
            str(folders[1]),
        ),
        *("--out", str(out), "--generator", "resnet6", "--crop", "32", "--device", "cpu", "--precision", "fp32"),
        *(text for key, value in SETTINGS_OF_ALL.items() for text in ("--set", f"{key}={json.dumps(value)}")),
        *flags,
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_two_processes_train_what_one_trains_with_the_doubled_batch_also_when_interrupted(tmp_path: Path) -> None:
    folders = fill(tmp_path / "synthetic", 4), fill(tmp_path / "real", 5, seed=1)
    call(folders, tmp_path / "one", steps=4, batch=2, settings=SETTINGS_OF_ALL)
    for flags in (("--stop-after", "2"), ("--resume", "--json")):
        two = launch(tmp_path / "two", folders, "--steps", "4", *flags)
        assert two.returncode == 0, two.stderr
        assert "2 processes" in two.stderr
    assert len(two.stdout.splitlines()) == 1  # one of the two speaks
    assert json.loads(two.stdout)["numbers"]["total_steps"] == 4

    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name in ("generator_synthetic_to_real", "generator_real_to_synthetic_ema"):
        (first, card), (second, other_card) = (
            load_generator(tmp_path / run / f"{name}.safetensors") for run in ("one", "two")
        )
        assert card == other_card
        assert torch.allclose(first(x), second(x), atol=2e-3), name
    mine, theirs = (
        [json.loads(line) for line in (tmp_path / run / "stats.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    )
    for own, other in zip(mine, theirs, strict=True):
        for key in ("cycle_real", "identity_synthetic", "adversarial_real", "judge_real"):
            assert own[key] == pytest.approx(other[key], rel=1e-3), key


def test_every_process_keeps_its_own_pool_and_finds_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def member(rank: int) -> CycleGan:
        config = GanConfig(base_channels=2, discriminator_channels=2, pool_size=2)
        placement = Placement(torch.device("cpu"), "fp32", team=Team(rank, 2))
        return CycleGan(GeneratorSpec("resnet6", 2), config, placement, seed=0)

    pools = [{name: [torch.full((3, 4, 4), float(rank))] for name in ("real", "synthetic")} for rank in range(2)]
    monkeypatch.setattr(Team, "gather", lambda self, value: pools)
    state = member(0).state()
    second = member(1)
    second.restore(state)
    assert [float(picture.mean()) for picture in second._pools["real"].state()] == [1.0]


def test_one_process_is_a_team_of_its_own() -> None:
    tensors = [torch.ones(2), torch.zeros(())]
    ALONE.average(tensors)
    assert tensors[0].tolist() == [1, 1]
    assert ALONE.tell("value") == "value"
    assert ALONE.gather(3) == [3]
    assert ALONE.leads


def test_each_process_takes_the_gpu_of_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_device("auto") == "auto"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device("auto") == ("cuda:1" if torch.cuda.is_available() else "auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [local_device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(InputError, match="one GPU"):
        local_device("cuda:0")
