import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from garbage_synth.config.frames import FramesConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import ConfigError, GarbageSynthError, InputError, OutputExistsError
from garbage_synth.io.output import fingerprint, open_output
from garbage_synth.stages import pipeline, recipe
from garbage_synth.stages.pipeline import run_pipeline
from garbage_synth.stages.recipe import Command, load_recipe

RAN: list[str] = []


def copy(
    source: Path,
    out: Path,
    *,
    text: str = "",
    size: tuple[int, int] | None = None,
    config: FramesConfig | None = None,
    fail: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """A stage that copies a text and writes to RAN how it was called."""
    config = config or FramesConfig()
    identity = {"inputs": fingerprint([source]), "text": text, "config": config.model_dump(mode="json")}
    output = open_output(
        out, stage="copy", identity=identity, inputs=[source], overwrite=overwrite, resume=resume, dry_run=dry_run
    )
    flags = "".join(flag for flag, given in (("O", overwrite), ("R", resume), ("W", workers)) if given)
    RAN.append(f"{out.name}{':' + flags if flags else ''}")
    (out / "half").write_text("")
    if fail == "error":
        raise InputError("photo a.jpg is damaged")
    if fail == "interrupt":
        raise KeyboardInterrupt
    found = (source / "text").read_text() if source.is_dir() else source.read_text()
    (out / "text").write_text(found + text)
    output.finish({"length": len(found + text)})
    return StageSummary("copy", out, {"length": len(found + text)}, ("so so",) if text == "?" else (), out / "text")


def page(datasets: list[Path], out: Path, *, overwrite: bool = False, progress: Progress | None = None) -> StageSummary:
    """A stage that writes one file."""
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is there")
    out.write_text("".join((path / "text").read_text() for path in datasets))
    RAN.append(out.name)
    return StageSummary("page", out, {"datasets": len(datasets)}, open_file=out)


def look(dataset: Path, *, progress: Progress | None = None) -> StageSummary:
    """A stage that writes nothing and finds "bad" bad."""
    RAN.append("look")
    bad = "bad" in (dataset / "text").read_text()
    return StageSummary("look", None, {"defects": int(bad)}, ok=not bad)


@pytest.fixture(autouse=True)
def _commands(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = {
        "copy": Command("copy", ("source",), "frames.FramesConfig"),
        "page": Command("page", ("datasets",), writes_file=True),
        "look": Command("look", ("dataset",), writes_nothing=True),
    }
    for name, function in (("copy", copy), ("page", page), ("look", look)):
        module = ModuleType(f"garbage_synth.stages.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recipe, "_COMMANDS", commands)
    RAN.clear()


def chain() -> list[dict[str, Any]]:
    return [
        {"name": "first", "stage": "copy", "source": "in.txt", "text": "1"},
        {"name": "second", "stage": "copy", "source": "${stages.first.out}", "text": "2"},
        {"name": "check", "stage": "look", "dataset": "${stages.second.out}"},
        {"name": "sheet", "stage": "page", "datasets": ["${stages.first.out}", "${stages.second.out}"]},
    ]


def write(folder: Path, stages: Any, **keys: Any) -> Path:
    folder.mkdir(exist_ok=True)
    if not (folder / "in.txt").exists():
        (folder / "in.txt").write_text("0")
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump({"out": "../made", "stages": stages, **keys}))
    return path


def test_stages_run_in_order_and_hand_on_their_outputs(tmp_path: Path) -> None:
    summary = run_pipeline(write(tmp_path / "recipes", chain()))
    assert RAN == ["first", "second", "look", "sheet.html"]
    assert (tmp_path / "made" / "second" / "text").read_text() == "012"
    assert (tmp_path / "made" / "sheet.html").read_text() == "01012"
    assert summary.out == tmp_path / "made"
    assert summary.open_file == tmp_path / "made" / "sheet.html"
    stages = summary.numbers["stages"]
    made = str(tmp_path / "made")
    assert {name: {**numbers, "seconds": 0} for name, numbers in stages.items()} == {
        "first": {"stage": "copy", "out": f"{made}/first", "length": 2, "seconds": 0},
        "second": {"stage": "copy", "out": f"{made}/second", "length": 3, "seconds": 0},
        "check": {"stage": "look", "defects": 0, "seconds": 0},
        "sheet": {"stage": "page", "out": f"{made}/sheet.html", "datasets": 2, "seconds": 0},
    }


def test_paths_may_be_relative_to_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "recipes", chain())
    monkeypatch.chdir(tmp_path)
    assert run_pipeline(Path("recipes/line.yaml")).open_file == Path("made/sheet.html")
    assert run_pipeline(Path("recipes/line.yaml")).numbers["stages"]["second"]["unchanged"]


def test_a_second_run_does_nothing_and_says_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    first = run_pipeline(path, tmp_path / "made")
    RAN.clear()
    again = run_pipeline(path, tmp_path / "made", workers=3)
    assert RAN == []
    assert again.open_file == first.open_file
    second = {"stage": "copy", "out": str(tmp_path / "made" / "second"), "unchanged": True, "length": 3}
    assert again.numbers["stages"]["second"] == second


def test_a_setting_that_an_earlier_version_did_not_have_makes_nothing_anew_while_unset(tmp_path: Path) -> None:
    path, out = write(tmp_path, chain()), tmp_path / "made"
    run_pipeline(path, out)
    ledger = json.loads((out / "pipeline.json").read_text())
    for record in ledger["stages"].values():
        for key in list(record["identity"]["settings"]):
            record["identity"]["settings"][f"later_{key}"] = None
    (out / "pipeline.json").write_text(json.dumps(ledger))
    RAN.clear()
    run_pipeline(path, out)
    assert RAN == []
    ledger["stages"]["second"]["identity"]["settings"]["later_text"] = 1
    (out / "pipeline.json").write_text(json.dumps(ledger))
    run_pipeline(path, out)
    assert RAN[0] == "second:O"


def test_only_what_depends_on_a_change_is_made_again(tmp_path: Path) -> None:
    out = tmp_path / "made"
    run_pipeline(write(tmp_path, chain()), out)
    RAN.clear()
    changed = chain()
    changed[1]["text"] = "two"
    run_pipeline(write(tmp_path, changed), out)
    assert RAN == ["second:O", "look", "sheet.html"]
    assert (out / "second" / "text").read_text() == "01two"
    assert (out / "sheet.html").read_text() == "0101two"


def test_a_changed_input_file_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    run_pipeline(path, tmp_path / "made")
    RAN.clear()
    (tmp_path / "in.txt").write_text("zero")
    run_pipeline(path, tmp_path / "made")
    assert RAN == ["first:O", "second:O", "look", "sheet.html"]


def test_a_result_that_a_person_corrected_is_kept_and_used(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    run_pipeline(path, tmp_path / "made")
    RAN.clear()
    (tmp_path / "made" / "first" / "text").write_text("mine")
    run_pipeline(path, tmp_path / "made")
    assert RAN == ["second:O", "look", "sheet.html"]
    assert (tmp_path / "made" / "second" / "text").read_text() == "mine2"


def test_a_deleted_output_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    run_pipeline(path, tmp_path / "made")
    RAN.clear()
    (tmp_path / "made" / "sheet.html").unlink()
    run_pipeline(path, tmp_path / "made")
    assert RAN == ["sheet.html"]


def test_an_interrupted_stage_is_continued(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(path, tmp_path / "made", overrides=["second.fail=interrupt"])
    RAN.clear()
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(path, tmp_path / "made", overrides=["second.fail=interrupt"])
    assert RAN == ["second:R"]
    RAN.clear()
    run_pipeline(path, tmp_path / "made")
    assert RAN == ["second:O", "look", "sheet.html"]  # other arguments than those it was begun with


def test_the_record_knows_what_a_stage_took_with_its_interrupted_beginnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: next(clock))

    def recorded() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((tmp_path / "made" / "pipeline.json").read_text())["stages"]["second"]
        return found

    path = write(tmp_path, chain())
    for seconds in (14, 28):  # from the beginning to the error
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(path, tmp_path / "made", overrides=["second.fail=interrupt"])
        assert (recorded()["status"], recorded()["seconds"]) == ("begun", seconds)
    run_pipeline(path, tmp_path / "made")  # begun anew, not continued
    assert (recorded()["status"], recorded()["seconds"]) == ("finished", 14)


def test_an_error_names_its_stage_and_keeps_its_kind_and_what_was_done(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    with pytest.raises(InputError, match="^stage second: photo a.jpg is damaged$"):
        run_pipeline(path, tmp_path / "made", overrides=["second.fail=error"])
    assert (tmp_path / "made" / "first" / "text").exists()


def test_defects_stop_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    for _ in range(2):
        with pytest.raises(GarbageSynthError, match=r"stage check \(look\) failed: defects 1") as caught:
            run_pipeline(path, tmp_path / "made", overrides=["second.text=bad"])
        assert caught.value.exit_code == 1
    assert RAN == ["first", "second", "look", "look"]


def test_a_folder_of_others_is_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.txt").write_text("")
    with pytest.raises(OutputExistsError, match=r"holds no pipeline\.json"):
        run_pipeline(path, tmp_path / "made")
    (tmp_path / "made" / "thesis.txt").unlink()
    run_pipeline(path, tmp_path / "made")
    (tmp_path / "made" / "first" / "garbage-synth.json").unlink()
    with pytest.raises(OutputExistsError, match="stage first: .* not made by garbage-synth"):
        run_pipeline(path, tmp_path / "made")
    with pytest.raises(OutputExistsError, match="is a file"):
        run_pipeline(path, tmp_path / "in.txt")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    run_pipeline(path, tmp_path / "made")
    (tmp_path / "made" / "pipeline.json").write_text("{}")
    with pytest.raises(InputError, match=r"pipeline\.json cannot be read"):
        run_pipeline(path, tmp_path / "made")


def test_the_record_holds_no_place(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    run_pipeline(path, tmp_path / "made")
    text = (tmp_path / "made" / "pipeline.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["stages"]["sheet"]["open_file"] == "sheet.html"


def test_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, chain())
    plan = run_pipeline(path, tmp_path / "made", dry_run=True).numbers["stages"]
    assert {name: entry["then"] for name, entry in plan.items()} == dict.fromkeys(
        ["first", "second", "check", "sheet"], "run"
    )
    assert not (tmp_path / "made").exists()
    run_pipeline(path, tmp_path / "made")
    plan = run_pipeline(path, tmp_path / "made", overrides=["second.text=x"], dry_run=True).numbers["stages"]
    assert plan["first"]["then"] == "skip, finished and unchanged"
    assert [plan[name]["then"] for name in ("second", "check", "sheet")] == ["run"] * 3
    assert RAN == ["first", "second", "look", "sheet.html"]


def test_workers_reach_the_stages_that_have_them(tmp_path: Path) -> None:
    run_pipeline(write(tmp_path, chain()), tmp_path / "made", workers=2)
    assert RAN == ["first:W", "second:W", "look", "sheet.html"]


def test_warnings_and_notes_are_passed_on(tmp_path: Path) -> None:
    said: list[str] = []

    class Listener(NullProgress):
        def message(self, text: str) -> None:
            said.append(text)

    stages = [{"name": "first", "stage": "copy", "source": "in.txt", "text": "?", "note": "only a smoke test"}]
    path = write(tmp_path, stages)
    summary = run_pipeline(path, tmp_path / "made", progress=Listener())
    assert summary.warnings == ("first: so so",)
    assert summary.numbers["stages"]["first"]["note"] == "only a smoke test"
    assert said == ["[1/1] first: copy (only a smoke test)"]
    again = run_pipeline(path, tmp_path / "made", progress=Listener())
    assert again.warnings == ("first: so so",)
    assert said[1] == "[1/1] first: copy is finished and unchanged"


def test_values_are_resolved_and_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINE_DATA", str(tmp_path))
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "frames.yaml").write_text("jpeg_quality: 60")
    stages = [
        {
            "name": "a",
            "stage": "copy",
            "source": "${LINE_DATA}/recipes/in.txt",
            "size": "64x48",
            "config": "frames.yaml",
        },
        {"name": "b", "stage": "copy", "source": "in.txt", "size": [3, 4], "config": {"jpeg_quality": 70}},
        {"name": "c", "stage": "copy", "source": "in.txt", "out": "elsewhere", "config": None},
        {"name": "d", "stage": "page", "datasets": "${stages.c.out}"},
    ]
    made = load_recipe(write(tmp_path / "recipes", stages, out="${LINE_DATA}/x"), None, ["b.config.min_change=0.5"])
    assert made.out == tmp_path / "x"
    a, b, c, d = made.steps
    assert a.arguments == {
        "source": tmp_path / "recipes" / "in.txt",
        "size": (64, 48),
        "config": FramesConfig(jpeg_quality=60),
    }
    assert (b.arguments["size"], b.arguments["config"]) == ((3, 4), FramesConfig(jpeg_quality=70, min_change=0.5))
    assert (c.out, c.arguments["config"]) == (tmp_path / "x" / "elsewhere", None)
    assert (d.out, d.arguments["datasets"]) == (tmp_path / "x" / "d.html", [tmp_path / "x" / "elsewhere"])


COPY = {"name": "a", "stage": "copy", "source": "in.txt"}


@pytest.mark.parametrize(
    ("stages", "kind", "said"),
    [
        ([], ConfigError, "must hold `stages`"),
        ("copy", ConfigError, "must hold `stages`"),
        ([{"stage": "cpy"}], ConfigError, "stage cpy: unknown stage 'cpy'; did you mean copy?"),
        ([{"name": "a"}], ConfigError, "unknown stage None"),
        ([{"name": "a/b", "stage": "copy"}], ConfigError, "stage name 'a/b' must be letters"),
        ([COPY, COPY], ConfigError, "names two stages 'a'"),
        ([COPY, {**COPY, "name": "b", "out": "a"}], ConfigError, "is that of another stage"),
        ([{**COPY, "out": "."}], ConfigError, "is that of another stage"),
        ([{**COPY, "txt": "x"}], ConfigError, "unknown argument 'txt' of copy; did you mean text?"),
        ([{**COPY, "overwrite": True}], ConfigError, "unknown argument 'overwrite'"),
        ([{"name": "a", "stage": "copy"}], ConfigError, "copy needs the argument 'source'"),
        ([{**COPY, "size": "big"}], ConfigError, "stage a: size: size 'big' is not of the form WxH"),
        ([{**COPY, "config": {"jpeg": 3}}], ConfigError, "unknown config key jpeg; did you mean jpeg_quality?"),
        ([{**COPY, "config": 7}], ConfigError, "expected keys or the name of a YAML file, not 7"),
        ([{**COPY, "config": "gone.yaml"}], ConfigError, "gone.yaml cannot be read"),
        ([{**COPY, "source": "gone"}], InputError, "stage a: source .*gone does not exist"),
        ([{**COPY, "source": "${NOT_SET_ANYWHERE}/x"}], ConfigError, "variable NOT_SET_ANYWHERE is not set"),
        ([{**COPY, "source": "${stages.b.out}"}], ConfigError, "no earlier stage 'b'"),
        ([COPY, {**COPY, "name": "b", "source": "${stages.aa.out}"}], ConfigError, "did you mean a?"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(
    tmp_path: Path, stages: Any, kind: type[Exception], said: str
) -> None:
    path = write(tmp_path, stages)
    with pytest.raises(kind, match=said.replace("?", r"\?")) as caught:
        run_pipeline(path, tmp_path / "made")
    assert "\n" not in str(caught.value)
    assert not RAN
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("first", "not of the form stage.argument=value"),
        ("first=3", "not of the form stage.argument=value"),
        ("frist.text=3", "no stage 'frist'; did you mean first?"),
        ("first.txt=3", "unknown argument 'txt'"),
        ("first.text.x=3", "text holds a value, not keys"),
        ("first.text=[", "not YAML"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        run_pipeline(write(tmp_path, chain()), tmp_path / "made", overrides=[override])


@pytest.mark.parametrize("text", ["[1]", "a: [", "stages: [{stage: copy}]\nmore: 1", "stages: [{stage: copy}]"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"p\.yaml"):
        run_pipeline(tmp_path / "p.yaml")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        run_pipeline(tmp_path / "gone.yaml")


def test_the_commands_of_a_pipeline_are_those_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    import inspect

    from garbage_synth.cli import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    # belt writes beside its input, for a person to check; the check of labels is a part of refine; an exported
    # generator is for other programs; a ladder holds a pipeline
    assert set(recipe._COMMANDS) == names - {"run", "ladder", "belt", "check-labels", "export-generator"}
    for command in recipe._COMMANDS.values():
        parameters = command.arguments()
        assert set(command.inputs) <= set(parameters)
        assert ("config" in parameters) == (command.config is not None)
        assert ("out" in parameters) == (not command.writes_nothing)
        assert parameters["progress"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", ["quickstart", "construction_belt", "household"])
def test_the_shipped_recipes_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names and values, with the folders that they read made up."""
    monkeypatch.undo()
    text = (Path(__file__).parents[2] / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")
    for folder in ("photos", "belts", "real/images/train"):
        (tmp_path / "sample_data" / folder).mkdir(parents=True)
    for folder in ("construction_belt/belts", "construction_belt/images/train", "trashnet_items", "belts"):
        (tmp_path / "real" / folder).mkdir(parents=True)
    (tmp_path / "real" / "trashnet_items" / "boxes_xyxy.json").write_text("{}")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "x.yaml").write_text(text)
    monkeypatch.setenv("GARBAGE_SYNTH_REAL_DATA", str(tmp_path / "real"))
    made = load_recipe(tmp_path / "pipelines" / "x.yaml", None)
    assert [step.command.name for step in made.steps][:2] == ["segment", "composite"]
    assert [step.command.name for step in made.steps][-2:] == ["validate", "report"]
    assert not made.out.is_relative_to(tmp_path / "pipelines")
