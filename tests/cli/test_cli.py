import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from garbage_synth import __version__
from garbage_synth.cli import app
from garbage_synth.core.progress import StageSummary
from garbage_synth.errors import ConfigError, GarbageSynthError, InputError, MissingDependencyError

OK = StageSummary("x", Path("out"), {"images": {"train": 3, "val": 1}}, ("few photos",), Path("out/page.html"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Any:
    """replace(name, behaviour) puts a function in the place of a stage; its calls are collected."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def replace(name: str, behaviour: Any = OK) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        def stage_function(*positional: Any, **keywords: Any) -> StageSummary:
            calls.append((positional, keywords))
            if isinstance(behaviour, BaseException):
                raise behaviour
            summary: StageSummary = behaviour(keywords) if callable(behaviour) else behaviour
            return summary

        module = ModuleType(f"garbage_synth.stages.{name}")
        setattr(module, "run_pipeline" if name == "pipeline" else name, stage_function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return calls

    return replace


COMMON = ["--overwrite", "--dry-run", "--json"]
COMMANDS = {
    "segment": (
        "in --out o --method mask --boxes b.json --split train --workers 2",
        True,
    ),
    "composite": (
        "--crops c --backgrounds b --distractors x --out o --count 5 --size 64x48 --items 1..3 --empty-fraction 0.2 "
        "--val-fraction 0.5 --seed 4 --workers 1 --format coco,yolo",
        True,
    ),
    "train-gan": (
        "--synthetic s --real r --out o --steps 9 --stop-after 3 --crop 64 "
        "--resize short:90 --generator resnet6 --batch 2 --device cpu --precision fp32",
        True,
    ),
    "train-detector": (
        "d --out o --model ssdlite --iterations 9 --split train --weights w.pth --device cpu --precision fp32 --seed 3",
        True,
    ),
    "refine": (
        "d --generator g --out o --direction real-to-synthetic --on-drift drop --drop-rejected --device cpu",
        True,
    ),
    "export": ("d --format webdataset --shard-size 9 --images copy --out o", True),
    "export-generator": ("g --out o.onnx --direction real-to-synthetic --format onnx --overwrite", False),
    "merge": ("d e --out o --images hardlink", True),
    "subset": ("d --out o --classes a,b --count 3 --min-visible 0.5 --drop-empty --seed 2 --images hardlink", True),
    "split": ("d --out o --val-fraction 0.2 --test-fraction 0.1 --by site --seed 2 --images hardlink", True),
    "validate": ("d", False),
    "check-labels": ("b a --fail-below 0.9 --report r.json --sheet s.jpg --workers 2 --overwrite", False),
    "report": ("d e --out o.html --pictures 3", False),
    "frames": ("v.mp4 --out o --every 2.5 --median p.jpg", True),
    "evaluate": ("r t --out o --split test --class-agnostic --map a=b --classes a,b --device cpu", True),
    "belt": ("b c.jpg --mm-per-px 0.5 --travel-deg 90 --overlay o", True),
    "run": ("p.yaml --out o --workers 3 --set a.b=1", False),
    "ladder": ("l.yaml --out o --arms a,b --workers 3 --device cpu --set seeds=[0]", False),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_calls_its_function_as_it_is_declared(command: str, stage: Any) -> None:
    arguments, writes = COMMANDS[command][0].split(), COMMANDS[command][1]
    name = {"run": "pipeline"}.get(command, command.replace("-", "_"))
    real = getattr(
        importlib.import_module(f"garbage_synth.stages.{name}"), "run_pipeline" if command == "run" else name
    )
    calls = stage(name)
    result = call(command, *arguments, *(COMMON if writes else ["--json"]))
    assert result.exit_code == 0, result.output
    ((positional, keywords),) = calls
    bound = inspect.signature(real).bind(*positional, **keywords).arguments
    given = {flag.removeprefix("--").replace("-", "_") for flag in arguments if flag.startswith("--")}
    renamed = {"format": "formats"} if command == "composite" else {"set": "overrides", "map": "class_map"}
    assert {renamed.get(flag, flag) for flag in given} <= set(bound)
    assert all(bound[name] is True for name in ("overwrite", "dry_run") if writes)
    unused = set(inspect.signature(real).parameters) - set(bound)
    assert not unused, f"arguments of the function that the command does not give: {unused}"


@pytest.mark.parametrize("command", ["composite", "train-gan", "train-detector", "evaluate", "run", "ladder", "frames"])
def test_a_dry_run_says_that_nothing_was_written(command: str, stage: Any) -> None:
    stage({"run": "pipeline"}.get(command, command.replace("-", "_")))
    result = call(command, *COMMANDS[command][0].split(), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "nothing was written" in result.output


def test_values_arrive_parsed(stage: Any) -> None:
    calls = stage("composite")
    assert call("composite", *COMMANDS["composite"][0].split()).exit_code == 0
    positional, keywords = calls[0]
    assert positional == (Path("c"), Path("b"), Path("o"))
    assert (keywords["size"], keywords["items"], keywords["formats"]) == ((64, 48), (1, 3), ("coco", "yolo"))
    assert (keywords["count"], keywords["val_fraction"], keywords["seed"], keywords["workers"]) == (5, 0.5, 4, 1)
    assert (keywords["overwrite"], keywords["resume"], keywords["dry_run"]) == (False, False, False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--size", "64"], "size '64' is not of the form WxH"),
        (["--size", "axb"], "is not of the form WxH"),
        (["--items", "3-4"], "items '3-4' is not of the form MIN..MAX"),
        (["--set", "no_such_thing=1"], "unknown config key no_such_thing"),
        (["--set", "x"], "not of the form key=value"),
        (["--config", "gone.yaml"], "config gone.yaml cannot be read"),
    ],
)
def test_wrong_values_are_one_line_and_exit_2(stage: Any, flags: list[str], said: str) -> None:
    calls = stage("composite")
    result = call("composite", "--crops", "c", "--backgrounds", "b", "--out", "o", "--count", "5", *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert not calls


def test_memory_of_refine_is_a_setting_with_a_flag(stage: Any) -> None:
    calls = stage("refine")
    arguments = ["refine", *COMMANDS["refine"][0].split()]
    assert call(*arguments, "--max-memory", "2.5", "--set", "max_memory_gb=8").exit_code == 0
    assert call(*arguments, "--set", "max_memory_gb=8").exit_code == 0
    assert call(*arguments).exit_code == 0
    assert [keywords["config"].max_memory_gb for _, keywords in calls] == [2.5, 8, None]
    result = call(*arguments, "--max-memory", "0")
    assert result.exit_code == 2
    assert "max_memory_gb" in result.stderr


def test_settings_reach_the_stage_as_its_config(stage: Any, tmp_path: Path) -> None:
    calls = stage("frames")
    (tmp_path / "c.yaml").write_text("min_change: 0.5\njpeg_quality: 80\n")
    call("frames", "v", "--out", "o", "--config", str(tmp_path / "c.yaml"), "--set", "jpeg_quality=70")
    config = calls[0][1]["config"]
    assert (config.min_change, config.jpeg_quality) == (0.5, 70)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (GarbageSynthError("it failed"), 1, "error: it failed"),
        (InputError("photo a.jpg\nis damaged"), 2, "error: photo a.jpg is damaged"),
        (ConfigError("unknown"), 2, "error: unknown"),
        (MissingDependencyError("no rembg"), 2, "error: no rembg"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: Permission denied (/x/y)"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device"),
        (ImportError("libGL.so.1: cannot open shared object file", name="cv2"), 2, "apt-get install"),
        (ImportError("libxcb.so.1: cannot open", path="site-packages/cv2/cv2.abi3.so"), 2, "apt-get install"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "package torch is missing"),
        (ImportError("cannot import", name="garbage_synth.gan"), 2, "installation is broken"),
    ],
)
def test_an_error_is_one_line_on_stderr_with_its_exit_code(stage: Any, error: Exception, code: int, said: str) -> None:
    stage("frames", error)
    result = call("frames", "v", "--out", "o")
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_error_with_json_is_json_on_stdout_too(stage: Any) -> None:
    stage("frames", InputError("no such video"))
    result = call("frames", "v", "--out", "o", "--json")
    assert json.loads(result.stdout) == {"error": "no such video", "ok": False}
    assert result.stderr == "error: no such video\n"


@pytest.mark.parametrize(
    ("command", "module", "said"),
    [
        (["frames", "v", "--out", "o"], "frames", "interrupted; continue with --resume"),
        (["run", "p.yaml"], "pipeline", "interrupted; continue with the same command"),
        (["validate", "d"], "validate", "interrupted"),
    ],
)
def test_an_interruption_exits_130_and_says_how_to_go_on(
    stage: Any, command: list[str], module: str, said: str
) -> None:
    stage(module, KeyboardInterrupt())
    result = call(*command)
    assert result.exit_code == 130
    assert result.stderr == said + "\n"


def test_a_bug_still_has_its_traceback(stage: Any) -> None:
    stage("frames", ZeroDivisionError("bug"))
    assert isinstance(call("frames", "v", "--out", "o").exception, ZeroDivisionError)


def test_the_summary_for_people_is_on_stdout_and_warnings_on_stderr(stage: Any) -> None:
    stage("frames")
    result = call("frames", "v", "--out", "o")
    assert result.stdout == "x: done, in out\n  images: train 3, val 1\nopen out/page.html\n"
    assert result.stderr == "warning: few photos\n"


def test_a_warning_that_was_shown_is_not_repeated(stage: Any) -> None:
    def work(keywords: dict[str, Any]) -> StageSummary:
        keywords["progress"].message("warning: few photos")
        return StageSummary("x", None, {}, ("few photos", "gan: few photos", "dark"))

    stage("frames", work)
    assert call("frames", "v", "--out", "o").stderr == "warning: few photos\nwarning: dark\n"


def test_json_summary_is_one_line_on_stdout_and_nothing_else(stage: Any) -> None:
    stage("frames")
    result = call("frames", "v", "--out", "o", "--json")
    assert json.loads(result.stdout) == {
        "stage": "x",
        "out": "out",
        "numbers": {"images": {"train": 3, "val": 1}},
        "warnings": ["few photos"],
        "open_file": "out/page.html",
        "ok": True,
    }
    assert result.stdout.count("\n") == 1


def test_a_summary_that_is_not_ok_exits_1(stage: Any) -> None:
    stage("validate", StageSummary("validate", None, {"defects": ["a.jpg: gone"]}, ok=False))
    result = call("validate", "d")
    assert result.exit_code == 1
    assert result.stdout == "validate: failed\n  defects:\n    a.jpg: gone\n"


@pytest.mark.parametrize("arguments", [["frobnicate"], ["segment"], ["segment", "x"], ["composite", "--count", "x"]])
def test_wrong_usage_exits_2_without_a_traceback(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(flag: str) -> None:
    assert call(flag).exit_code == 0
    for command in COMMANDS:
        assert command in call(flag).stdout
        assert call(command, flag).exit_code == 0


def test_version() -> None:
    assert call("--version").stdout == f"garbage-synth {__version__}\n"


def test_help_is_fast_and_loads_no_heavy_package() -> None:
    code = (
        "import sys; sys.argv = ['garbage-synth', '--help']\n"
        "from garbage_synth.cli import main\n"
        "try: main()\n"
        "except SystemExit as error: assert error.code == 0\n"
        "heavy = {'cv2', 'numpy', 'PIL', 'pycocotools', 'pydantic', 'torch', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    best = float("inf")
    for _ in range(3):  # processor time and the best of several, because the machine may be busy
        began = os.times()
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        ended = os.times()
        used = ended.children_user + ended.children_system - began.children_user - began.children_system
        best = min(best, used)
        assert child.returncode == 0, child.stderr
    assert best < 0.5


def test_the_module_is_the_command() -> None:
    child = subprocess.run(
        [sys.executable, "-m", "garbage_synth", "--version"], capture_output=True, text=True, check=False
    )
    assert child.stdout == f"garbage-synth {__version__}\n"


def test_an_interruption_outside_a_stage_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    from garbage_synth import cli

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupt)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
