import inspect
import json
import os
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from garbage_synth.cli import app
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.console import summary_as_text
from garbage_synth.core.progress import NullProgress
from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io import records
from garbage_synth.io.records import STATS_FILE
from garbage_synth.run import local
from garbage_synth.stages import ladder_pairs, ladder_results
from garbage_synth.stages.ladder import ladder
from garbage_synth.stages.ladder_file import load_ladder
from garbage_synth.stages.recipe import _COMMANDS
from tests.makers import DrawnDataset, belt_rgb, drawn_dataset, save, write_tree
from tests.stages import ladders
from tests.stages.ladders import CACHES_GB, CALLS, FAILING, install, small_ladder, write_ladder


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def ran(path: Path, **arguments: Any) -> dict[str, Any]:
    """What results.json holds after a run on one worker."""
    ladder(path, workers=1, device="cpu", **arguments)
    found: dict[str, Any] = json.loads((path.parent / "made" / "results.json").read_text())
    return found


def test_stages_run_then_every_detector_and_the_results_compare_them(tmp_path: Path) -> None:
    found = ran(write_ladder(tmp_path, small_ladder(tmp_path)))
    assert [f"{verb} {arm}_{seed}" for seed in (0, 2) for arm in "aef" for verb in ("train", "evaluate")] == CALLS
    low, high = (found["arms"][key]["train"]["annotations"] for key in "ae")
    assert low < high - 2
    arm = found["arms"]["f"]
    assert arm["name"] == "few and real"
    assert arm["train"] == {"images": 10, "annotations": low + high}
    assert [(seed["seed"], seed["ap"]) for seed in arm["seeds"]] == [
        (0, pytest.approx((low + high) / 100)),
        (2, pytest.approx((low + high) / 100 + 0.002)),
    ]
    assert arm["ap_mean"] == pytest.approx((low + high) / 100 + 0.001)
    assert arm["ap_spread"] == pytest.approx(0.002 / 2**0.5)
    assert arm["ap50_mean"] == pytest.approx(2 * arm["ap_mean"])
    assert arm["ap75_mean"] is None
    assert arm["per_class"] == {"can": pytest.approx(arm["ap_mean"])}
    assert arm["gap_closed"] == pytest.approx(high / (high - low))
    assert arm["minutes"]["training"] == pytest.approx(121 / 60, abs=0.01)
    assert found["arms"]["e"]["minutes"]["stages"] == 0
    assert found["arms"]["a"]["distances"]["swd"] > 0
    assert found["test_set"] == {
        "name": f"{tmp_path.name}/real", "split": "test", "images": 2, "annotations": found["test_set"]["annotations"],
        "class_agnostic": False,
    }  # fmt: skip
    assert found["detector"] == {
        "model": "fcos-small", "epochs": None, "iterations": 5, "split": None, "weights": None, "precision": "auto",
        "config": {"cache_gb": 2.0, "learning_rate": 0.5, "log_every": 20},
    }  # fmt: skip
    assert found["device"] == "a cpu"
    assert found["gap"] == {"from": "a", "to": "e", "undefined": None}
    assert found["curve"] is None
    assert str(tmp_path.parent) not in json.dumps(found)


def test_table_figure_and_sheets_are_written_beside(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    summary = ladder(path, workers=1, device="cpu")
    made = tmp_path / "made"
    assert summary.ok
    assert summary.open_file == made / "ladder.png"
    assert (made / "ladder.png").read_bytes().startswith(b"\x89PNG")
    table = (made / "results.md").read_text()
    assert "| f | few and real | 10 |" in table
    assert table.strip() in "\n".join(line.strip() for line in summary_as_text(summary).splitlines())
    assert (made / "detections_a.jpg").read_bytes() == (made / "evaluations" / "a_0" / "detections.jpg").read_bytes()


def test_the_arms_are_compared_on_resampled_test_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran(write_ladder(tmp_path, small_ladder(tmp_path)))["above"] == {}  # two pictures tell nothing
    monkeypatch.setattr(ladder_results, "LEAST_PICTURES", 2)
    found = ran(tmp_path / "ladder.yaml")
    arm = found["arms"]["f"]
    assert arm["ap_interval"] == [pytest.approx(arm["ap_mean"] - 0.045), pytest.approx(arm["ap_mean"] + 0.045)]
    assert found["above"] == {"a": {"e": 0, "f": 0}, "e": {"a": 1, "f": 0}, "f": {"a": 1, "e": 1}}
    # better by far and worse by little, equal, without a box; seed 2 of e as an evaluation of an earlier version
    resampled = {"a_0": [0.5, 0.1, 0.3, None], "e_0": [0.1, 0.2, 0.3, None], "a_2": [0.9] * 4}
    for name, values in resampled.items():
        (tmp_path / f"made/evaluations/{name}/metrics.json").write_text(json.dumps({"ap_resampled": values * 25}))
    (tmp_path / "made/evaluations/e_2/metrics.json").write_text("{}")
    found = ran(tmp_path / "ladder.yaml")
    assert found["above"]["a"]["e"] == found["above"]["e"]["a"] == 0.5
    assert found["arms"]["e"]["ap_interval"] is None
    assert found["arms"]["f"]["ap_interval"] is not None


def test_a_second_run_trains_nothing_and_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    first = ran(path)
    CALLS.clear()
    monkeypatch.setattr("garbage_synth.stages.ladder_results.distances", None)  # not measured again either
    assert ran(path) == first
    assert CALLS == []


def test_only_what_depends_on_a_change_is_done_again(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    ran(path)
    CALLS.clear()
    ran(path, overrides=["seeds=[0,2,3]"])
    assert [f"{verb} {arm}_3" for arm in "aef" for verb in ("train", "evaluate")] == CALLS
    CALLS.clear()
    ran(path, overrides=["few.seed=9", "few.count=1", "seeds=[0]"])
    assert CALLS == ["train a_0:O", "evaluate a_0", "train f_0:O", "evaluate f_0"]
    CALLS.clear()
    ran(path, arms=["e"])
    assert CALLS == []  # a run of fewer seeds has not forgotten the others


def test_what_changes_no_detector_trains_none(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    arguments: dict[str, Any] = {"arms": ["a"]}
    ran(path, **arguments)
    CALLS.clear()
    ran(path, overrides=["detector.config.log_every=1"], **arguments)
    for checkpoint in (tmp_path / "made" / "detectors").glob("*/checkpoint.pt"):
        checkpoint.unlink()
    ran(path, **arguments)
    assert CALLS == []
    ran(path, overrides=["detector.config.learning_rate=0.1", "seeds=[0]"], **arguments)
    assert CALLS == ["train a_0:O"]  # the same weights by chance: the evaluation stands


def test_a_replaced_picture_of_a_coco_file_is_seen(tmp_path: Path) -> None:
    document = small_ladder(tmp_path) | {"seeds": [0], "gap": None}
    document["arms"] = {"n": {"train": "drawn/annotations/instances_train.json"}}
    path = write_ladder(tmp_path, document)
    ran(path)
    CALLS.clear()
    ran(path)
    assert CALLS == []
    save(tmp_path / "drawn" / "images" / "train" / "train_0002.jpg", belt_rgb(32, 24, seed=77))
    ran(path)
    assert CALLS == ["train n_0:O"]


def test_the_stand_ins_take_what_the_stages_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in ("train_detector", "evaluate"):
        real = getattr(import_module(f"garbage_synth.stages.{name}"), name)
        theirs, ours = (inspect.signature(function).parameters for function in (real, getattr(ladders, name)))
        assert {key: (one.kind, one.default) for key, one in ours.items()} == {
            key: (one.kind, one.default) for key, one in theirs.items()
        }
    evaluation = _COMMANDS["evaluate"]
    assert evaluation.read_of == {"run": import_module("garbage_synth.detect.detector").DETECTOR_FILE}


def test_some_arms_run_alone_and_their_gap_is_undefined(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    found = ran(path, arms=["a"], overrides=["seeds=[0]"])
    assert CALLS == ["train a_0", "evaluate a_0"]
    assert not (tmp_path / "made" / "both").exists()
    assert found["arms"]["a"]["gap_closed"] is None
    assert found["gap"]["undefined"] == "undefined, since a and e were not both measured"
    assert found["arms"]["a"]["ap_spread"] is None


def test_arms_that_are_not_run_again_stay_in_the_table(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    whole = ran(path)
    CALLS.clear()
    assert ran(path, arms=["e"]) == whole
    assert list(ran(path, arms=["e"], overrides=["few.count=1"])["arms"]) == ["e"]  # the others would be made anew
    found = ran(path, arms=["f"], overrides=["seeds=[2,3]"])["arms"]
    assert {key: [seed["seed"] for seed in arm["seeds"]] for key, arm in found.items()} == {
        "a": [2], "e": [2], "f": [2, 3]
    }  # fmt: skip
    assert CALLS == ["train f_3", "evaluate f_3"]


def test_a_sheet_of_before_does_not_stand_for_a_detector_that_failed(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path) | {"seeds": [0]})
    ran(path)
    FAILING.add("detectors/a_0")
    ran(path, arms=["a"], overrides=["detector.iterations=6"])
    assert not (tmp_path / "made" / "detections_a.jpg").exists()


def test_an_arm_that_cannot_be_used_does_not_lose_the_others(tmp_path: Path) -> None:
    document = small_ladder(tmp_path) | {"seeds": [0]}
    strange = drawn_dataset({"train": [(32, 24)] * 3}, seed=5)
    names = replace(strange.dataset, categories={1: "tin", 2: "rag", 3: "jar"})
    write_tree(tmp_path / "strange", replace(strange, dataset=names))
    write_tree(tmp_path / "parts", drawn_dataset({"x": [(32, 24)] * 3, "y": [(32, 24)] * 3}, seed=6))
    document["arms"] |= {"s": {"train": "strange"}, "p": {"train": "parts"}, "t": {"train": "mixed"}}
    document["stages"].append({"name": "mixed", "stage": "merge", "datasets": ["${stages.few.out}", "tested"]})
    document["arms"]["t"]["train"] = "${stages.mixed.out}"
    real = drawn_dataset({"train": [(32, 24)] * 8, "test": [(32, 24)] * 2}, seed=1)
    tested = Dataset(real.dataset.categories, {"train": real.dataset.splits["test"]}, {})
    write_tree(tmp_path / "tested", DrawnDataset(tested, {("train", key): real.pixels["test", key] for key in (1, 2)}))
    summary = ladder(write_ladder(tmp_path, document), workers=1, device="cpu")
    assert not summary.ok
    assert [call for call in CALLS if call.startswith("train")] == ["train a_0", "train e_0", "train f_0"]
    assert list(summary.numbers["arms"]) == ["a", "e", "f"]
    failed = summary.numbers["failed"]
    assert list(failed) == ["s_0", "p_0", "t_0"]
    assert "no class" in failed["s_0"]
    assert "no split train; choose one of x, y" in failed["p_0"]
    assert "test_0001.jpg is a picture of the test set" in failed["t_0"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": "tset"}, "no split 'tset'; choose one of test, train"),
        ({"classes": ["cn"]}, "the truth has no class 'cn'; did you mean can"),
        ({"map": {"cn": "tin"}}, "the truth has no class 'cn'"),
        ({"map": {"can": "tin"}, "class_agnostic": True}, "contradict each other"),
    ],
)
def test_a_wrong_test_set_ends_the_ladder_before_a_training(tmp_path: Path, changes: Any, said: str) -> None:
    document = small_ladder(tmp_path)
    document["test"] |= changes
    with pytest.raises(InputError, match=said):
        ran(write_ladder(tmp_path, document))
    assert CALLS == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_unknown_model_and_split_are_told_before_any_stage_runs(tmp_path: Path, dry_run: bool) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    for override, said in (
        ("test.split=tset", "no split 'tset'; choose one of test, train"),
        ("detector.model=fcos", "--model 'fcos' is unknown; give fcos-small"),
    ):
        with pytest.raises(InputError, match=said):
            ladder(path, device="cpu", overrides=[override], dry_run=dry_run)
    assert not (tmp_path / "made").exists()


def test_a_gap_that_is_too_small_is_undefined(tmp_path: Path) -> None:
    document = small_ladder(tmp_path)
    document["arms"]["e"]["train"] = "${stages.few.out}"
    found = ran(write_ladder(tmp_path, document))
    assert [arm["gap_closed"] for arm in found["arms"].values()] == [None] * 3
    assert found["gap"]["undefined"] == "undefined, since e - a is 0.000 AP, below 0.02"


def test_one_detector_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    FAILING.update({"detectors/a_0", "evaluations/e_2!"})
    summary = ladder(path, workers=1, device="cpu")
    assert not summary.ok
    assert summary.numbers["failed"] == {"a_0": "memory ran out", "e_2": "RuntimeError: what is this"}
    assert summary.warnings == (
        "detector a_0 failed: memory ran out", "detector e_2 failed: RuntimeError: what is this"
    )  # fmt: skip
    arms = summary.numbers["arms"]
    assert {key: [seed["seed"] for seed in arm["seeds"]] for key, arm in arms.items()} == {
        "a": [2], "e": [0], "f": [0, 2]
    }  # fmt: skip
    FAILING.clear()
    CALLS.clear()
    assert ladder(path, workers=1, device="cpu").ok
    assert CALLS == ["train a_0:R", "evaluate a_0", "evaluate e_2"]


def test_a_failure_hides_what_the_detector_reached_before(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    ran(path)
    FAILING.add("detectors/e_0")
    found = ran(path, overrides=["detector.iterations=6"])
    assert [seed["seed"] for seed in found["arms"]["e"]["seeds"]] == [2]


def test_an_interrupted_training_is_continued(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    FAILING.add("detectors/f_0^")
    with pytest.raises(KeyboardInterrupt):
        ladder(path, workers=1, device="cpu")
    FAILING.clear()
    CALLS.clear()
    ran(path)
    assert CALLS[:3] == ["train f_0:R", "evaluate f_0", "train a_2"]


def test_a_training_that_was_killed_after_its_end_is_not_done_again(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    FAILING.add("evaluations/f_0^")
    with pytest.raises(KeyboardInterrupt):
        ladder(path, workers=1, device="cpu")
    FAILING.clear()
    CALLS.clear()
    found = ran(path)
    assert CALLS[:2] == ["train f_0:R", "evaluate f_0"]  # finds itself finished
    assert found["arms"]["f"]["seeds"][0]["minutes"] == 2


def test_an_interrupted_training_of_other_settings_is_not_continued(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    for iterations in (5, 6, 5):
        FAILING.add("detectors/e_0^")
        with pytest.raises(KeyboardInterrupt):
            ladder(path, workers=1, device="cpu", arms=["e"], overrides=[f"detector.iterations={iterations}"])
    assert CALLS == ["train e_0", "train e_0:O", "train e_0:O"]
    FAILING.clear()
    ran(path, arms=["e"], overrides=["detector.iterations=6"])
    assert CALLS[3:] == ["train e_0:O", "evaluate e_0", "train e_2", "evaluate e_2"]


def test_trying_other_settings_for_a_moment_loses_only_what_was_replaced(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    ran(path)
    FAILING.add("detectors/a_0^")
    with pytest.raises(KeyboardInterrupt):
        ladder(path, workers=1, device="cpu", overrides=["detector.iterations=6"])
    FAILING.clear()
    CALLS.clear()
    ran(path)
    assert CALLS == ["train a_0:O"]  # which gives the same detector, whose evaluation stands


def test_the_curve_says_where_more_pictures_stop_helping(tmp_path: Path) -> None:
    document = small_ladder(tmp_path) | {"curve": {"x": "pictures", "arms": {"e": 8, "a": 2, "f": 10}}}
    found = ran(write_ladder(tmp_path, document))["curve"]
    assert [(point["arm"], point["x"], len(point["ap"])) for point in found["points"]] == [
        ("a", 2, 2), ("e", 8, 2), ("f", 10, 2)
    ]  # fmt: skip
    assert found["enough"] == 8  # the few items that f has more are worth less than 0.01 AP
    assert found["x"] == "pictures"
    (tmp_path / "made" / "detectors" / "e_0" / "detector.safetensors").unlink()
    (tmp_path / "made" / "detectors" / "e_2" / "detector.safetensors").unlink()
    assert [point["arm"] for point in ran(tmp_path / "ladder.yaml", arms=["a"])["curve"]["points"]] == ["a", "f"]


def test_the_cost_of_a_resumed_training_is_that_of_all_its_iterations(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    ran(path, arms=["a"])
    state = json.loads((tmp_path / "made" / "pipeline.json").read_text())
    state["stages"]["detectors/a_0"]["numbers"] |= {"seconds_per_iteration": 60.0, "iterations": 5}
    state["stages"]["detectors/a_2"]["seconds"] = 180.0
    (tmp_path / "made" / "pipeline.json").write_text(json.dumps(state))
    assert [seed["minutes"] for seed in ran(path, arms=["a"])["arms"]["a"]["seeds"]] == [5, 3]


def test_costs_are_those_of_the_stages_an_arm_needs(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    ran(path)
    state = json.loads((tmp_path / "made" / "pipeline.json").read_text())
    for name, seconds in (("few", 60), ("other", 600), ("both", 30)):
        state["stages"][name]["seconds"] = seconds
    (tmp_path / "made" / "pipeline.json").write_text(json.dumps(state))
    arms = ran(path)["arms"]
    assert {key: arm["minutes"]["stages"] for key, arm in arms.items()} == {"a": 1, "e": 0, "f": 1.5}


def test_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    plan = ladder(path, device="cpu", dry_run=True)
    assert list(plan.numbers["stages"])[:5] == ["few", "other", "both", "detectors/a_0", "evaluations/a_0"]
    assert len(plan.numbers["stages"]) == 3 + 12
    assert {entry["then"] for entry in plan.numbers["stages"].values()} == {"run"}
    assert not (tmp_path / "made").exists()
    assert CALLS == []
    ran(path)
    plan = ladder(path, device="cpu", overrides=["both.images=hardlink"], dry_run=True)
    again = [name for name, entry in plan.numbers["stages"].items() if entry["then"] == "run"]
    assert again == ["both", "detectors/f_0", "evaluations/f_0", "detectors/f_2", "evaluations/f_2"]
    assert "detectors/f_2: train-detector -> " in summary_as_text(plan)


def test_workers_share_the_detectors_and_a_dead_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from garbage_synth.errors import GarbageSynthError

    def pool(task: Any, items: Any, *, workers: int, interruptible: bool, look: Any) -> Any:
        assert interruptible
        asked.append(workers)
        yield task(items[0])
        raise GarbageSynthError("a worker process died")

    asked: list[int] = []
    monkeypatch.setattr(ladder_pairs, "map_unordered", pool)
    summary = ladder(write_ladder(tmp_path, small_ladder(tmp_path)), workers=4, device="cpu", arms=["a", "e"])
    assert asked == [4]
    assert CACHES_GB == [0.5]
    assert not summary.ok
    assert list(summary.numbers["failed"]) == ["e_0", "a_2", "e_2"]
    assert "fewer --workers" in summary.numbers["failed"]["e_0"]
    assert summary.numbers["arms"]["a"]["ap_mean"] is not None
    assert summary.numbers["arms"]["e"]["ap_mean"] is None


def test_trainings_beside_each_other_share_memory_and_on_a_gpu_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "available_workers", lambda: 18)
    config = DetectorConfig()
    step = load_ladder(write_ladder(tmp_path, small_ladder(tmp_path))).arms[0].pairs[0].train
    step = replace(step, arguments={**step.arguments, "config": config})
    for count, on_cpu, wanted in ((4, False, 4), (32, False, 1), (1, False, None), (4, True, None)):
        own = ladder_pairs._with_its_share(step, count, on_cpu).arguments["config"]
        assert (own.cache_gb, own.loader_workers) == (2.0 / count, wanted)
    asked = {**step.arguments, "config": config.model_copy(update={"loader_workers": 3})}
    told = ladder_pairs._with_its_share(replace(step, arguments=asked), 4, False)
    assert told.arguments["config"].loader_workers == 3


class Bars(NullProgress):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, label: str, total: int | None) -> None:
        self.told.append((label, total))

    def advance(self, units: int = 1) -> None:
        self.told.append(units)


def test_several_workers_tell_how_many_iterations_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pool(task: Any, items: Any, *, workers: int, interruptible: bool, look: Any) -> Any:
        def train(item: Any, iteration: int) -> None:
            records.append_record(item.pair.train.out / STATS_FILE, {"iteration": iteration})
            look()

        first, second = items
        old = second.pair.train.out / STATS_FILE  # of an earlier training
        records.append_record(old, {"iteration": 4})
        os.utime(old, (1, 1))
        look()
        old.unlink()
        train(first, 2)
        train(second, 1)
        train(first, 5)
        train(second, 3)  # while the first is being judged
        (second.pair.train.out / STATS_FILE).unlink()
        look()
        yield task(first)
        train(second, 4)
        yield task(second)

    monkeypatch.setattr(ladder_pairs, "map_unordered", pool)
    bars = Bars()
    document = small_ladder(tmp_path)
    run = partial(ladder, write_ladder(tmp_path, document), workers=2, device="cpu", progress=bars)
    run(arms=["a"])
    assert bars.told[bars.told.index(("iterations of 2 detectors", 10)) :][1:7] == [2, 1, 3, 2, 1, 1]

    del document["detector"]["iterations"]
    bars.told.clear()
    run = partial(ladder, write_ladder(tmp_path, document), workers=2, device="cpu", progress=bars)
    run(arms=["a"])
    assert bars.told[bars.told.index(("detectors", 2)) :][1:3] == [1, 1]


def test_what_became_of_a_detector_is_said_at_once(tmp_path: Path) -> None:
    said: list[str] = []

    class Listener(NullProgress):
        def message(self, text: str) -> None:
            said.append(text)

    path = write_ladder(tmp_path, small_ladder(tmp_path))
    FAILING.add("detectors/a_2")
    ladder(path, workers=1, device="cpu", arms=["a"], progress=Listener())
    assert said[-1] == "arm a, seed 2: memory ran out"
    assert said[-2].startswith("arm a, seed 0: AP 0.0")


def test_a_folder_of_others_is_not_touched(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.txt").write_text("")
    with pytest.raises(OutputExistsError, match=r"holds no pipeline\.json"):
        ladder(path)


def test_the_command_prints_the_table_and_exits_1_where_a_detector_failed(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    arguments = ["ladder", str(path), "--workers", "1", "--device", "cpu", "--arms", "a,e", "--set", "seeds=[0]"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "| a | few | 2 |" in done.stdout
    FAILING.add("detectors/a_0")
    done = CliRunner().invoke(app, [*arguments, "--set", "detector.iterations=9", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[-1])["numbers"]["failed"] == {"a_0": "memory ran out"}
