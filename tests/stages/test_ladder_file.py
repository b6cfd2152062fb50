from pathlib import Path
from typing import Any

import pytest

from garbage_synth.errors import ConfigError, InputError
from garbage_synth.stages.ladder_file import Ladder, load_ladder
from tests.stages.ladders import DetectorConfig, install, small_ladder, write_ladder


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def test_every_arm_and_seed_is_a_training_and_an_evaluation(tmp_path: Path) -> None:
    document = small_ladder(tmp_path)
    document["test"] |= {"map": {"can": "tin"}, "classes": ["tin"], "class_agnostic": True}
    made = load_ladder(write_ladder(tmp_path, document))
    assert [pair.name for pair in made.pairs] == ["a_0", "e_0", "f_0", "a_2", "e_2", "f_2"]
    train, judge = made.pairs[3].train, made.pairs[3].evaluate
    assert train.out == tmp_path / "made" / "detectors" / "a_2"
    assert train.arguments == {
        "dataset": tmp_path / "made" / "few",
        "seed": 2,
        "iterations": 5,
        "config": DetectorConfig(learning_rate=0.5),
    }
    assert judge.out == tmp_path / "made" / "evaluations" / "a_2"
    assert judge.arguments == {
        "run": train.out,
        "truth": tmp_path / "real",
        "split": "test",
        "class_map": {"can": "tin"},
        "classes": ("tin",),
        "class_agnostic": True,
    }
    assert [(arm.key, arm.name) for arm in made.arms] == [("a", "few"), ("e", "e"), ("f", "few and real")]


def test_arms_know_the_stages_they_need_directly_or_not(tmp_path: Path) -> None:
    document = small_ladder(tmp_path)
    document["arms"]["g"] = {"train": "${stages.other.out}"}
    made = load_ladder(write_ladder(tmp_path, document))
    assert {arm.key: arm.needs for arm in made.arms} == {
        "a": ("few",),
        "e": (),
        "f": ("few", "both"),
        "g": ("few", "other"),
    }
    assert [step.name for step in made.stages] == ["few", "other", "both"]


def test_some_arms_bring_only_the_stages_that_they_need(tmp_path: Path) -> None:
    document = small_ladder(tmp_path)
    document["stages"].append({"name": "far", "stage": "subset", "dataset": "${NOT_SET_ANYWHERE}", "count": 1})
    document["arms"]["g"] = {"train": "${stages.far.out}"}
    path = write_ladder(tmp_path, document)
    made = load_ladder(path, only=["f", "a"])
    assert [arm.key for arm in made.arms] == ["a", "f"]
    assert [step.name for step in made.stages] == ["few", "both"]
    assert load_ladder(path, only=["e"]).stages == ()
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        load_ladder(path)


def test_set_reaches_stages_the_detector_and_the_ladders_own_keys(tmp_path: Path) -> None:
    document = small_ladder(tmp_path)
    del document["detector"]
    del document["seeds"]
    path = write_ladder(tmp_path, document)
    assert load_ladder(path).seeds == (0,)
    overrides = ["few.count=3", "detector.iterations=7", "seeds=[4]", "test.split=train", "arms.a.train=drawn"]
    made = load_ladder(path, tmp_path / "x", overrides)
    assert made.stages[0].arguments["count"] == 3
    (pair, *_), train = made.pairs, tmp_path / "drawn"
    assert (pair.name, pair.train.arguments["iterations"], pair.train.arguments["dataset"]) == ("a_4", 7, train)
    assert pair.evaluate.arguments["split"] == "train"
    assert made.out == tmp_path / "x"


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"arm": {}}, ConfigError, "unknown key 'arm'"),
        ({"arms": {}}, ConfigError, "must hold `arms`"),
        ({"arms": {"a": {"name": "x"}}}, ConfigError, "arm a must hold `train`"),
        ({"arms": {"a": {"train": "real", "seed": 1}}}, ConfigError, "arm a must hold `train`"),
        ({"arms": {"a": {"train": "real", "name": "x\ny"}}}, ConfigError, "the name of arm a is 'x"),
        ({"arms": {"a": {"train": "real", "name": 75}}}, ConfigError, "the name of arm a is 75"),
        ({"arms": {"a_b": {"train": "real"}}}, ConfigError, "arm 'a_b' must be letters"),
        ({"arms": {"a": {"train": "gone"}}}, InputError, "arm a: dataset .*gone does not exist"),
        ({"arms": {"a": {"train": "${stages.fwe.out}"}}}, ConfigError, "arm a: .*did you mean few?"),
        ({"test": {}}, ConfigError, "must hold `test` with `data`"),
        (
            {"test": {"data": "real", "spilt": "x"}},
            ConfigError,
            "unknown key 'spilt'; did you mean split?",
        ),
        ({"test": {"data": "gone"}}, InputError, "yaml: test: truth .*gone does not exist"),
        ({"detector": {"iteration": 4}}, ConfigError, "yaml: detector: unknown argument 'iteration' of train-detector"),
        ({"detector": {"seed": 4}}, ConfigError, "detector.seed is given by the ladder itself"),
        ({"detector": {"out": "x"}}, ConfigError, "detector.out is given by the ladder itself"),
        ({"detector": {"config": {"learning_rat": 4}}}, ConfigError, "did you mean learning_rate?"),
        ({"detector": 4}, ConfigError, "detector is 4"),
        ({"seeds": []}, ConfigError, "seeds is "),
        ({"seeds": 3}, ConfigError, "seeds is 3"),
        ({"seeds": [1, 1]}, ConfigError, "seeds is "),
        ({"seeds": [True]}, ConfigError, "seeds is "),
        ({"gap": {"from": "a"}}, ConfigError, "gap is "),
        ({"gap": {"from": "a", "to": "a"}}, ConfigError, "gap is "),
        ({"gap": {"from": "a", "to": "z"}}, ConfigError, "gap is "),
        ({"curve": {"x": "n", "arms": {"a": 3}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 3, "z": 4}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 0, "e": 4}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 3, "e": 3.0}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 3, "e": float("inf")}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 3, "e": float("nan")}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n", "arms": {"a": 3, "e": 10**400}}}, ConfigError, "curve is "),
        ({"curve": {"x": "n\nm", "arms": {"a": 3, "e": 4}}}, ConfigError, "curve is "),
        ({"curve": {"y": "n", "arms": {"a": 3, "e": 4}}}, ConfigError, "curve is "),
        ({"stages": [{"name": "gap", "stage": "subset"}]}, ConfigError, "may not be named 'gap'"),
        ({"stages": [{"name": "x", "stage": "subset", "dataset": "real", "out": "detectors"}]}, ConfigError, "another"),
    ],
)
def test_a_wrong_ladder_is_refused(tmp_path: Path, changes: Any, kind: type[Exception], said: str) -> None:
    document = {**small_ladder(tmp_path), **changes}
    if "stages" in changes or "arms" in changes:
        document["gap"] = None
        document["arms"] = changes.get("arms", {"a": {"train": "real"}})
    with pytest.raises(kind, match=said.replace("?", r"\?")) as caught:
        load_ladder(write_ladder(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_an_unknown_arm_or_name_is_refused(tmp_path: Path) -> None:
    path = write_ladder(tmp_path, small_ladder(tmp_path))
    with pytest.raises(ConfigError, match="--arms 'x': no such arm; known are a, e, f"):
        load_ladder(path, only=["a", "x"])
    with pytest.raises(ConfigError, match="--arms"):
        load_ladder(path, only=[])
    with pytest.raises(ConfigError, match="no stage 'detecter'; did you mean detector"):
        load_ladder(path, None, ["detecter.iterations=3"])
    with pytest.raises(ConfigError, match=r"not of the form stage\.argument=value"):
        load_ladder(path, None, ["few=3"])


_SHIPPED = Path(__file__).parents[2] / "benchmarks" / "ladders"
_OVER_PHOTOS = "sample_line_photos_cpu"
_PLACES = {"out", "crops", "backgrounds", "synthetic", "real", "dataset", "run", "truth"}


def _load_shipped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """The ladder of benchmarks/ladders, with the folders that it reads made up."""
    monkeypatch.undo()
    rendered = ("photos", "crops", "belts", "real/images/train")
    real = ("belts", "images/train", "annotations")
    folders = ("frames", "photos/crops", "benchmarks/ladders", *(f"sample_data/{part}" for part in rendered))
    for folder in (*folders, *(f"data/construction_belt/{part}" for part in real)):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sample_data/real/annotations").mkdir()
    for labels in ("data/construction_belt", "sample_data/real"):
        (tmp_path / labels / "annotations/instances_train.json").write_text("{}")
    path = tmp_path / "benchmarks" / "ladders" / "x.yaml"
    path.write_text((_SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"))
    monkeypatch.setenv("GARBAGE_SYNTH_REAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GARBAGE_SYNTH_EXTRA_FRAMES", str(tmp_path / "frames"))
    monkeypatch.setenv("GARBAGE_SYNTH_EXTRA_PHOTOS", str(tmp_path / "photos"))
    made = load_ladder(path)
    assert made.gap == ("a", "e")
    assert made.out == tmp_path / "runs" / "ladders" / name
    return made


@pytest.mark.parametrize("name", sorted({path.stem for path in _SHIPPED.glob("*.yaml")} - {_OVER_PHOTOS}))
def test_the_shipped_ladders_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _load_shipped(name, tmp_path, monkeypatch)
    on_cpu, belt = name.endswith("_cpu"), name.startswith("construction_belt")
    crops = () if name == "sample_line_cpu" else ("crops",)
    needs = {
        "a": (*crops, "naive"),
        "b": (*crops, "composite"),
        "d": (*crops, "composite", "gan", "refined"),
        "e": () if name == "sample_line_cpu" else ("real",),
    }
    if name != "construction_belt_cpu":
        needs["c"] = (*crops, "composite", "gan-paper", "refined-paper")
    if not on_cpu:
        needs["f"] = ("crops", "composite", "gan", "refined", "real", "refined-and-real")
    else:  # b and e, not d and e
        needs["f"] = (*crops, "composite", *(("real",) if belt else ()), "composite-and-real")
    assert {arm.key: arm.needs for arm in made.arms if not arm.key.startswith("n")} == needs
    settings = {step.name: step.arguments for step in made.stages}
    assert settings["naive"]["config"].preset == "naive"
    assert (settings["gan"]["generator"], settings["refined"]["on_drift"]) == ("warp6", "adjust")
    if "c" in needs:
        assert settings["gan-paper"]["config"].preset == "paper"
        assert settings["refined-paper"]["on_drift"] == "keep"
    same = ("count", "items", "size", "val_fraction")
    assert [settings["naive"].get(key) for key in same] == [settings["composite"].get(key) for key in same]


def _budget(made: Ladder) -> list[Any]:
    """How the detectors of the first arm are trained and judged, but for the places."""
    pairs = made.arms[0].pairs
    steps = [step for pair in pairs for step in (pair.train, pair.evaluate)]
    return [{key: value for key, value in step.arguments.items() if key not in _PLACES} for step in steps]


def test_the_ladder_over_photographed_items_differs_in_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages that it shares with the ladder that it is compared with, detectors and test set are alike."""
    own = _load_shipped(_OVER_PHOTOS, tmp_path / "own", monkeypatch)
    other = _load_shipped("sample_line_cpu", tmp_path / "other", monkeypatch)
    settings, theirs = ({step.name: step.arguments for step in made.stages} for made in (own, other))
    for shared in ("naive", "composite", "gan"):
        for key in settings[shared].keys() - _PLACES:
            assert settings[shared][key] == theirs[shared][key], (shared, key)
    assert _budget(own) == _budget(other)
    plain = settings["composite"]
    for name, photos in (("photos35", 5), ("photos140", 20), ("photos280", None)):
        config = settings[name]["config"]
        assert config.classes.max_photos == photos
        assert config.model_copy(update={"classes": plain["config"].classes}) == plain["config"]
        assert all(settings[name][key] == plain[key] for key in plain.keys() - _PLACES - {"config"})
    naive = ("naive280", "naive")
    assert all(settings[naive[0]][key] == settings[naive[1]][key] for key in settings["naive"].keys() - _PLACES)
    assert own.curve is not None
    assert own.curve.places == {"p35": 35, "b": 70, "p140": 140, "p280": 280}
    assert {arm.key: arm.needs for arm in own.arms} == {
        "a": ("naive",),
        "a280": ("naive280",),
        "p35": ("photos35",),
        "b": ("composite",),
        "p140": ("photos140",),
        "p280": ("photos280",),
        "d280": ("composite", "photos280", "gan", "refined280"),
        "f280": ("photos280", "photos280-and-real"),
        "e": (),
    }


def test_the_readme_beside_the_shipped_ladders_names_them_all() -> None:
    text = (_SHIPPED / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in _SHIPPED.glob("*.yaml") if f"`{path.name}`" not in text] == []
