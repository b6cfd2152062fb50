"""The stage as a user calls it, with small networks on small pictures."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.masks import rle_of_mask
from garbage_synth.core.progress import StageSummary
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import GarbageSynthError, InputError, OutputExistsError
from garbage_synth.gan import cycle_gan, pace, training_loop
from garbage_synth.gan.data import Domain
from garbage_synth.gan.generator_file import load_generator, read_card
from garbage_synth.io.dataset import write_annotations
from garbage_synth.stages.train_gan import train_gan
from tests.makers import save

SETTINGS: dict[str, Any] = {
    "base_channels": 2,
    "checkpoint_every_steps": 2,
    "decode_threads": 1,
    "discriminator_channels": 2,
    "evaluate_every_steps": 0,
    "log_every_steps": 2,
    "pool_size": 3,
    "sample_count": 2,
    "sample_every_steps": 3,
}
GENERATORS = [
    f"generator_{direction}{ending}.safetensors"
    for direction in ("synthetic_to_real", "real_to_synthetic")
    for ending in ("", "_ema")
]


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.units = 0

    def start(self, label: str, total: int | None) -> None:
        pass

    def advance(self, units: int = 1) -> None:
        self.units += units

    def message(self, text: str) -> None:
        self.lines.append(text)

    def said(self, word: str) -> bool:
        return any(word in line for line in self.lines)


def fill(folder: Path, count: int, size_wh: tuple[int, int] = (40, 36), seed: int = 0, ending: str = "png") -> Path:
    for number in range(count):
        rng = rng_for(seed, "test", folder.name, number)
        save(folder / f"{number}.{ending}", rng.integers(0, 256, (*size_wh[::-1], 3)).astype(np.uint8))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return fill(tmp_path / "synthetic", 3), fill(tmp_path / "real", 4, seed=1)


def call(folders: tuple[Path, Path], out: Path, **flags: Any) -> StageSummary:
    settings = {**SETTINGS, **flags.pop("settings", {})}
    defaults: dict[str, Any] = {"crop": 32, "generator": "resnet6", "device": "cpu", "precision": "fp32"}
    return train_gan(*folders, out, config=GanConfig(**settings), **{**defaults, **flags})


def numbers(run: Path) -> dict[int, dict[str, float]]:
    """The losses that a run logged, by step."""
    records = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    return {record["step"]: record for record in records if "evaluation" not in record}


def generators(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in GENERATORS}


def test_run_folder_holds_generators_samples_metrics_and_settings(folders: tuple[Path, Path], tmp_path: Path) -> None:
    listener = Listener()
    summary = call(folders, tmp_path / "run", steps=5, progress=listener)
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        *GENERATORS,
        "checkpoint.pt",
        "config.yaml",
        "garbage-synth.json",
        "curves.png",
        "stats.jsonl",
        "samples",
    }
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["step_000000003.png", "step_000000005.png"]
    with Image.open(run / "samples" / "step_000000005.png") as sample:
        assert sample.size == (6 * 32 + 5 * 4, 2 * 32 + 4)
    records = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4, 5]
    assert {"cycle_real", "identity_real", "judge_real", "adversarial_real", "learning_rate", "pairs_per_s"} <= set(
        records[0]
    )
    assert summary.numbers["steps"] == summary.numbers["total_steps"] == 5
    assert summary.open_file == run / "samples" / "step_000000005.png"
    assert listener.said("per step")
    assert listener.said("left of this call take about")
    assert listener.units == 5 + 3 + 4


@pytest.mark.parametrize("generator", ["resnet6", "warp6"])
def test_both_directions_are_usable_and_say_what_they_are(
    folders: tuple[Path, Path], tmp_path: Path, generator: str
) -> None:
    call(folders, tmp_path / "run", steps=2, resize="short:34", generator=generator)
    directions = set()
    for name in GENERATORS:
        network, card = load_generator(tmp_path / "run" / name)
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
        assert (card.resize_short_px, card.crop_px, card.steps, card.generator) == (34, 32, 2, generator)
        assert card.warp_max_px == (4.0 if generator == "warp6" else 0.0)
        assert card.averaged == name.endswith("_ema.safetensors")
        directions.add(card.direction)
    assert directions == {"synthetic-to-real", "real-to-synthetic"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_and_resumed_run_equals_the_uninterrupted_one(
    folders: tuple[Path, Path], tmp_path: Path, precision: str
) -> None:
    call(folders, tmp_path / "whole", steps=7, batch=2, precision=precision)
    for stop_after in (3, 2, None):
        summary = call(
            folders, tmp_path / "parts", steps=7, batch=2, precision=precision, stop_after=stop_after, resume=True
        )
    assert summary.numbers["steps"] == 7
    assert generators(tmp_path / "parts") == generators(tmp_path / "whole")
    whole, parts = (numbers(tmp_path / run) for run in ("whole", "parts"))
    assert list(parts) == sorted(parts)
    assert set(whole) == {2, 4, 6, 7}
    for step, losses in whole.items():  # windows go on across the interruptions at 3 and 5
        assert all(parts[step][name] == value for name, value in losses.items() if name != "pairs_per_s"), step


_CHILD = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from garbage_synth.config.gan import GanConfig
from garbage_synth.stages.train_gan import train_gan
synthetic, real, out, moment, settings = sys.argv[1:]
class Killer:
    steps = 0
    training = False
    def start(self, label, total):
        self.training = label == "train-gan"
    def advance(self, units=1):
        self.steps += self.training
        if moment == "step" and self.steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    def message(self, text):
        pass
if moment == "write":
    whole = torch.save
    def torn(state, path):
        whole(state, path)
        if state["step"] == 4:
            os.truncate(path, 1000)
            os.kill(os.getpid(), signal.SIGKILL)
    torch.save = torn
train_gan(Path(synthetic), Path(real), Path(out), steps=6, crop=32, generator="resnet6", device="cpu",
          precision="fp32", config=GanConfig.model_validate_json(settings), resume=True, progress=Killer())
"""


@pytest.mark.slow
def test_run_that_is_killed_twice_equals_the_uninterrupted_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "whole", steps=6)
    out = tmp_path / "killed"
    arguments = [str(folders[0]), str(folders[1]), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    for moment in ("step", "write"):
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, *arguments, moment, json.dumps(SETTINGS)],
            env=environment,
            capture_output=True,
            timeout=300,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
        assert (out / "checkpoint.pt").is_file()
    assert list(out.glob(".checkpoint.pt.*.tmp"))
    listener = Listener()
    call(folders, out, steps=6, resume=True, progress=listener)
    assert listener.said("going on after step 2")
    assert generators(out) == generators(tmp_path / "whole")
    assert not list(out.glob(".*"))


def test_resuming_a_finished_run_does_nothing_and_a_missing_one_starts(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    first = call(folders, tmp_path / "run", steps=2, resume=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    for flags in ({"steps": 2}, {}, {"stop_after": 1}):
        again = call(folders, tmp_path / "run", resume=True, **flags)
        assert again.numbers == first.numbers
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}


def test_larger_total_goes_on_with_a_new_schedule_and_says_so(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=2)
    summary = call(folders, tmp_path / "run", steps=6, resume=True)
    assert any("planned anew" in warning and "2" in warning and "6" in warning for warning in summary.warnings)
    assert summary.numbers["steps"] == 6
    records = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    rates = {record["step"]: record["learning_rate"] for record in records}
    assert rates[6] == pytest.approx(2e-4 * 1 / 4)
    assert read_card(tmp_path / "run" / GENERATORS[0]).steps == 6
    with pytest.raises(InputError, match="already made 6"):
        call(folders, tmp_path / "run", steps=3, resume=True)


def test_resuming_with_other_settings_or_pictures_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=4, stop_after=1)
    for flags in ({"seed": 1}, {"batch": 2}, {"settings": {"lambda_cycle": 1.0}}, {"resize": "short:40"}):
        with pytest.raises(InputError, match="was begun with"):
            call(folders, tmp_path / "run", steps=4, resume=True, **flags)
    call(folders, tmp_path / "run", steps=4, stop_after=1, resume=True, settings={"log_every_steps": 1})
    fill(folders[1], 5, seed=2)
    with pytest.raises(InputError, match="real"):
        call(folders, tmp_path / "run", steps=4, resume=True)


def test_other_precision_on_resume_is_said(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=2, stop_after=1)
    path = tmp_path / "run" / "checkpoint.pt"
    torch.save(torch.load(path, weights_only=True) | {"where": "CPU, 8 threads, bf16"}, path)
    summary = call(folders, tmp_path / "run", steps=2, resume=True)
    assert any("8 threads, bf16" in warning and "fp32" in warning for warning in summary.warnings)


def test_checkpoint_of_other_networks_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=2, stop_after=1)
    path = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    del state["gan"]["networks"]["to_real"]
    torch.save(state, path)
    with pytest.raises(GarbageSynthError, match="another shape"):
        call(folders, tmp_path / "run", steps=2, resume=True)


def test_output_that_would_be_lost_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    call(folders, tmp_path / "run", steps=1)
    with pytest.raises(OutputExistsError):
        call(folders, tmp_path / "run", steps=1)
    call(folders, tmp_path / "run", steps=2, overwrite=True)
    assert read_card(tmp_path / "run" / GENERATORS[0]).steps == 2
    with pytest.raises(InputError, match="inside the input"):
        call(folders, folders[0] / "run", steps=1)


def test_training_that_breaks_is_ended_with_advice_and_the_last_good_checkpoint(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cycle_gan.CycleGan.step

    def broken(self: Any, *args: Any, index: int, **kwargs: Any) -> dict[str, torch.Tensor]:
        losses = whole(self, *args, index=index, **kwargs)
        return {name: loss * float("nan") if index == 2 else loss for name, loss in losses.items()}

    monkeypatch.setattr(cycle_gan.CycleGan, "step", broken)
    with pytest.raises(GarbageSynthError, match=r"step 3.*not finite.*learning_rate=0\.0001"):
        call(folders, tmp_path / "run", steps=6)
    assert read_card(tmp_path / "run" / GENERATORS[0]).steps == 2
    monkeypatch.undo()
    assert call(folders, tmp_path / "run", steps=6, resume=True).numbers["steps"] == 6


def test_checkpoint_is_not_written_with_broken_weights(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycle_gan.CycleGan, "is_finite", lambda self: False)
    with pytest.raises(GarbageSynthError, match="a weight is not finite"):
        call(folders, tmp_path / "run", steps=6)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_memory_that_runs_out_is_said_with_what_to_change(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(cycle_gan.CycleGan, "step", full)
    with pytest.raises(GarbageSynthError, match=r"--crop 32 --batch 1 on cpu.*smaller --crop"):
        call(folders, tmp_path / "run", steps=1)


def test_other_errors_of_torch_are_not_hidden(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(cycle_gan.CycleGan, "step", wrong)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        call(folders, tmp_path / "run", steps=1)


def test_long_training_is_warned_of(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_LONG_HOURS", 0.0)
    summary = call(folders, tmp_path / "run", steps=9, stop_after=8)
    assert any("fewer --steps" in warning for warning in summary.warnings)


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (10800, "3.0 h"), (864000, "10.0 days")])
def test_durations_are_told_in_fitting_units(seconds: float, text: str) -> None:
    assert pace.duration(seconds) == text


def test_dataset_means_the_pictures_of_its_train_split(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tree = tmp_path / "dataset"
    fill(tree / "images" / "train", 2)
    fill(tree / "images" / "val", 5)
    assert call((tree, folders[1]), tmp_path / "run", dry_run=True).numbers["images_synthetic"] == 2

    roboflow = tmp_path / "roboflow"
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 36} for n in range(3)],
        "annotations": [],
        "categories": [{"id": 1, "name": "can"}],
    }
    for split in ("train", "valid"):
        fill(roboflow / split, 3)
        (roboflow / split / "_annotations.coco.json").write_text(json.dumps(document))
    assert call((roboflow, folders[1]), tmp_path / "run", dry_run=True).numbers["images_synthetic"] == 3

    (roboflow / "train" / "_annotations.coco.json").unlink()
    with pytest.raises(InputError, match="no split named train"):
        call((roboflow, folders[1]), tmp_path / "run", dry_run=True)


@pytest.fixture
def labelled(folders: tuple[Path, Path]) -> tuple[Path, Path]:
    """The folders, the synthetic one as a dataset whose pictures hold a square each."""
    tree = folders[0].parent / "labelled"
    records = tuple(ImageRecord(n, f"{n}.png", 40, 36) for n in range(3))
    mask = np.zeros((36, 40), np.bool_)
    mask[10:20, 10:20] = True
    annotations = tuple(
        Annotation(n + 1, n, 5, (10.0, 10.0, 10.0, 10.0), 100.0, 0, rle_of_mask(mask)) for n in range(3)
    )
    write_annotations(tree, Dataset({5: "can", 9: "tray"}, {"train": Split(records, annotations)}))
    fill(tree / "images" / "train", 3)
    return tree, folders[1]


def domains_of_training(monkeypatch: pytest.MonkeyPatch) -> list[Domain]:
    """Filled with the synthetic and the real domain when a training begins."""
    seen: list[Domain] = []
    whole = training_loop.train

    def watched(plan: Any, synthetic: Domain, real: Domain, **rest: Any) -> Any:
        seen.extend((synthetic, real))
        return whole(plan, synthetic, real, **rest)

    monkeypatch.setattr("garbage_synth.stages.train_gan.train", watched)
    return seen


def test_masks_of_a_synthetic_dataset_reach_the_training_at_the_pictures_size(
    labelled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = domains_of_training(monkeypatch)
    listener = Listener()
    summary = call(labelled, tmp_path / "run", steps=1, resize="short:72", progress=listener)
    assert summary.numbers["label_classes"] == 2
    assert listener.said("keeping the items of 2 classes")
    synthetic, real = seen
    classes = synthetic.classes(0)
    assert classes is not None
    assert synthetic.picture(0).shape[:2] == classes.shape == (72, 80)
    assert np.argwhere(classes == 1).min() == 20
    assert np.argwhere(classes == 1).max() == 39
    assert real.labels is None


def test_masks_are_left_alone_where_no_term_needs_them(
    labelled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = domains_of_training(monkeypatch)
    listener = Listener()
    summary = call(labelled, tmp_path / "run", steps=1, settings={"preset": "paper"}, progress=listener)
    assert seen[0].labels is None
    assert summary.numbers["label_classes"] == 0
    assert not listener.said("masks")


def test_missing_masks_are_told_once(folders: tuple[Path, Path], tmp_path: Path) -> None:
    listener = Listener()
    call(folders, tmp_path / "run", steps=1, progress=listener)
    assert sum("has no masks" in line for line in listener.lines) == 1


def test_other_labels_are_another_training(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    call(labelled, tmp_path / "run", steps=2, stop_after=1)
    annotations = labelled[0] / "annotations" / "instances_train.json"
    annotations.write_text(annotations.read_text().replace('"tray"', '"lid"'))
    with pytest.raises(InputError, match="begun with labels"):
        call(labelled, tmp_path / "run", steps=2, resume=True)


def test_folders_are_read_to_their_depth(folders: tuple[Path, Path], tmp_path: Path) -> None:
    fill(folders[0] / "deeper" / "still", 2)
    summary = call(folders, tmp_path / "run", epochs=3, batch=2, dry_run=True)
    assert summary.numbers["images_synthetic"] == 5
    assert summary.numbers["total_steps"] == 3 * 3
    assert not (tmp_path / "run").exists()


def test_too_few_pictures_are_refused_and_few_are_warned_of(folders: tuple[Path, Path], tmp_path: Path) -> None:
    summary = call(folders, tmp_path / "run", steps=1, dry_run=True)
    assert any("synthetic domain has 3 pictures" in warning for warning in summary.warnings)
    assert any("real domain has 4 pictures" in warning for warning in summary.warnings)
    lonely = fill(tmp_path / "lonely", 1)
    with pytest.raises(InputError, match="at least 2"):
        call((lonely, folders[1]), tmp_path / "run", steps=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture"):
        call((folders[0], tmp_path / "empty"), tmp_path / "run", steps=1)
    with pytest.raises(InputError, match="does not exist"):
        call((folders[0], tmp_path / "nowhere"), tmp_path / "run", steps=1)
    with pytest.raises(InputError, match="same folder"):
        call((folders[0], folders[0]), tmp_path / "run", steps=1)


@pytest.mark.parametrize(
    ("size_wh", "resize", "warned"), [((80, 72), None, True), ((80, 72), "short:36", False), ((56, 50), None, False)]
)
def test_domains_of_different_sizes_are_warned_of(
    folders: tuple[Path, Path], tmp_path: Path, size_wh: tuple[int, int], resize: str | None, warned: bool
) -> None:
    large = fill(tmp_path / "large", 2, size_wh)
    summary = call((folders[0], large), tmp_path / "run", steps=1, resize=resize, dry_run=True)
    assert any("times as large as the synthetic" in warning for warning in summary.warnings) == warned


def test_pictures_smaller_than_the_crop_train_all_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tiny = fill(tmp_path / "tiny", 2, (5, 3))
    summary = call((tiny, folders[1]), tmp_path / "run", steps=1)
    assert any("2 of 2 synthetic pictures are smaller than the crop" in warning for warning in summary.warnings)
    assert summary.numbers["steps"] == 1


def test_bad_picture_is_found_before_anything_is_written(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.jpg"):
        call(folders, tmp_path / "run", steps=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"crop": 30}, "--crop 30"),
        ({"crop": 28}, "--crop 28"),
        ({"batch": 0}, "--batch 0"),
        ({"generator": "unet"}, "resnet9 or resnet6"),
        ({"resize": "long:3"}, "short:P"),
        ({"steps": 1, "epochs": 1}, "one of them"),
        ({"steps": 0}, "--steps 0"),
        ({"device": "tpu"}, "tpu"),
        ({"precision": "fp8"}, "fp8"),
        ({"resume": True, "overwrite": True}, "contradict"),
    ],
)
def test_wrong_flags_are_refused_by_name(
    folders: tuple[Path, Path], tmp_path: Path, flags: dict[str, Any], word: str
) -> None:
    with pytest.raises(InputError, match=word):
        call(folders, tmp_path / "run", **flags)
    assert not (tmp_path / "run").exists()
