"""How a training watches itself: looks, the best generators, guards; with small networks on small pictures."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from garbage_synth.errors import GarbageSynthError, InputError
from garbage_synth.gan import cycle_gan, evaluation
from garbage_synth.gan.evaluation import KID, SWD
from garbage_synth.gan.generator_file import find_generator, read_card
from garbage_synth.io.images import read_rgb
from tests.gan.test_train_gan import GENERATORS, Listener, call, fill, generators
from tests.stages.test_check_labels import write_before

BEST = [name.replace("_ema", "_best_ema") for name in GENERATORS if "_ema" in name]
LOOKS = {"evaluate_every_steps": 2, "evaluate_pictures": 4}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return fill(tmp_path / "synthetic", 3), fill(tmp_path / "real", 4, seed=1)


def looks(run: Path) -> dict[int, dict[str, float]]:
    records = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return {record["step"]: record["evaluation"] for record in records if "evaluation" in record}


def rig(monkeypatch: pytest.MonkeyPatch, distances: dict[int, float]) -> None:
    """Let the look after so many updates of the averages find these distances."""
    steps = {"made": 0}
    whole = cycle_gan.CycleGan.step

    def counted(self: Any, *args: Any, index: int, **kwargs: Any) -> Any:
        steps["made"] = index + 1
        return whole(self, *args, index=index, **kwargs)

    monkeypatch.setattr(cycle_gan.CycleGan, "step", counted)
    monkeypatch.setattr(evaluation, "sliced_wasserstein", lambda *_: {64: distances[steps["made"]]})


def test_looks_are_recorded_told_and_summed_up(folders: tuple[Path, Path], tmp_path: Path) -> None:
    listener = Listener()
    summary = call(folders, tmp_path / "run", steps=5, settings=LOOKS, progress=listener)
    found = looks(tmp_path / "run")
    assert list(found) == [2, 4, 5]
    assert all({KID, "swd", "lab", "cycle_psnr"} == set(values) for values in found.values())
    best = min(found, key=lambda step: found[step][SWD])
    assert summary.numbers["best_step"] == best
    assert summary.numbers["best"] == found[best]
    assert summary.numbers["evaluation"] == found[5]
    assert listener.said("after 4 steps: distance from real pictures")


def test_watched_training_has_the_same_bits_as_one_that_is_not(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "watched", steps=5, settings=LOOKS)
    call(folders, tmp_path / "alone", steps=5)
    assert generators(tmp_path / "watched") == generators(tmp_path / "alone")
    assert not looks(tmp_path / "alone")
    assert not list((tmp_path / "alone").glob("*best*"))


@pytest.mark.parametrize(
    ("distances", "best"), [({2: 3.0, 4: 1.0, 6: 2.0, 7: 2.0}, 4), ({2: 1.0, 4: 2.0, 6: 2.0, 7: 0.0}, 7)]
)
def test_resumed_training_keeps_the_same_best_as_the_uninterrupted_one(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    distances: dict[int, float],
    best: int,
) -> None:
    rig(monkeypatch, distances)
    settings = {**LOOKS, "checkpoint_every_steps": 100}  # a new best is a reason of its own to save
    whole = call(folders, tmp_path / "whole", steps=7, settings=settings)
    for stop_after in (3, 2, None):
        parts = call(folders, tmp_path / "parts", steps=7, settings=settings, stop_after=stop_after, resume=True)
    assert whole.numbers["best_step"] == parts.numbers["best_step"] == best
    assert looks(tmp_path / "parts") == looks(tmp_path / "whole")
    for name in BEST:
        assert read_card(tmp_path / "parts" / name).steps == best
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert find_generator(tmp_path / "parts", "synthetic-to-real").name == BEST[0]


def test_best_of_later_steps_goes_with_them(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, {2: 3.0, 4: 2.0, 6: 2.5})
    run = tmp_path / "run"
    call(folders, run, steps=6, settings=LOOKS, stop_after=3)
    older = (run / "checkpoint.pt").read_bytes()
    call(folders, run, steps=6, settings=LOOKS, stop_after=2, resume=True)
    assert read_card(run / BEST[0]).steps == 4
    (run / "checkpoint.pt").write_bytes(older)  # of step 3, which knows of a best at step 2
    monkeypatch.undo()
    rig(monkeypatch, {4: 9.0, 6: 8.0})
    call(folders, run, steps=6, settings=LOOKS, stop_after=1, resume=True)
    assert read_card(run / BEST[0]).steps == 4
    assert looks(run)[4][SWD] == 9.0
    (run / "checkpoint.pt").unlink()
    call(folders, run, steps=6, settings=LOOKS, stop_after=1, resume=True)
    assert not list(run.glob("*best*"))


def test_kill_between_checkpoint_and_best_files_loses_nothing(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, {2: 1.0, 4: 2.0})
    call(folders, tmp_path / "run", steps=4, settings=LOOKS, stop_after=2)
    written = {name: (tmp_path / "run" / name).read_bytes() for name in BEST}
    for name in BEST:
        (tmp_path / "run" / name).unlink()
    call(folders, tmp_path / "run", steps=4, settings=LOOKS, resume=True)
    assert {name: (tmp_path / "run" / name).read_bytes() for name in BEST} == written


def test_without_averages_the_last_weights_are_judged(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=2, settings={**LOOKS, "ema_decay": 0.0})
    best = find_generator(tmp_path / "run", "synthetic-to-real")
    assert best.name == "generator_synthetic_to_real_best.safetensors"
    assert not read_card(best).averaged
    assert best.read_bytes() == (tmp_path / "run" / GENERATORS[0]).read_bytes()


def test_inverted_translations_end_the_training_and_it_can_go_on_all_the_same(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cycle_gan.CycleGan.step

    def inverted(self: Any, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        losses = whole(self, *args, **kwargs)
        return losses | {name: torch.tensor(-0.5) for name in losses if name.startswith("correlation")}

    monkeypatch.setattr(cycle_gan.CycleGan, "step", inverted)
    settings = {"abort_after_steps": 3, "checkpoint_every_steps": 3}
    run = tmp_path / "run"
    call(folders, run, steps=8, settings=settings, stop_after=4)
    with pytest.raises(GarbageSynthError, match="step 6: synthetic-to-real"):  # the window before the stop counts
        call(folders, run, steps=8, settings=settings, resume=True)
    assert read_card(run / GENERATORS[0]).steps == 4
    done = call(folders, run, steps=8, settings={**settings, "abort_below_correlation": None}, resume=True)
    assert done.numbers["steps"] == 8


def test_labels_of_a_dataset_are_watched(tmp_path: Path) -> None:
    dataset = write_before(tmp_path / "dataset")
    real = fill(tmp_path / "real", 2, (300, 200))
    settings = {**LOOKS, "evaluate_every_steps": 1, "evaluate_frames": 1}
    summary = call((dataset, real), tmp_path / "run", steps=1, settings=settings)
    assert 0 <= looks(tmp_path / "run")[1]["label_hold"] <= 1
    assert "label_hold" in summary.numbers["best"]
    alone = call((dataset, real), tmp_path / "alone", steps=1, settings={**settings, "evaluate_frames": 0})
    assert "label_hold" not in alone.numbers["best"]


def test_curves_are_drawn_beside_the_samples(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=4, settings=LOOKS)
    curves = read_rgb(tmp_path / "run" / "curves.png")
    assert np.unique(curves.reshape(-1, 3), axis=0).shape[0] > 20


def test_tensorboard_gets_the_same_numbers_and_voids_those_of_an_interrupted_run(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {**LOOKS, "tensorboard": True, "checkpoint_every_steps": 100, "log_every_steps": 1}
    run = tmp_path / "run"
    call(folders, run, steps=4, settings=settings, stop_after=3)
    older = (run / "checkpoint.pt").read_bytes()
    call(folders, run, steps=6, settings=settings, stop_after=2, resume=True)
    (run / "checkpoint.pt").write_bytes(older)
    call(folders, run, steps=6, settings=settings, resume=True)
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    scalars = [event.step for event in events.Scalars("training/cycle_real")]
    assert scalars == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars(f"evaluation/{KID}")] == [2, 4, 6]
    assert {event.step for event in events.Images("samples")} >= {3, 6}


def test_missing_tensorboard_is_said_before_anything_is_written(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"garbage-synth\[tensorboard\]"):
        call(folders, tmp_path / "run", steps=1, settings={"tensorboard": True})
    assert not (tmp_path / "run").exists()


def test_size_and_what_is_not_known_yet_are_told_before_the_first_step(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    listener = Listener()
    call(folders, tmp_path / "run", steps=1, dry_run=True, settings={"base_channels": 64}, progress=listener)
    assert listener.said("7.8 M parameters")  # resnet6 of the paper: 7,837,699
    assert listener.said("how long it takes, and how much memory, is told after the first steps")
