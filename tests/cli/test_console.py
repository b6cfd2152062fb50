import io
import json
import time
from pathlib import Path

import numpy as np
import pytest

from garbage_synth.console import PlainProgress, RichProgress, listening, summary_as_json, summary_as_text
from garbage_synth.core.progress import StageSummary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with listening(stream) as progress:
        assert isinstance(progress, PlainProgress)
        progress.start("render", 40)
        for _ in range(40):
            now[0] += 3
            progress.advance()
        progress.message("warning: dark")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "render: 40"
    assert lines[1:-1] == [f"render: {done} of 40" for done in range(4, 41, 4)]
    assert lines[-1] == "warning: dark"
    assert progress.seen == ["warning: dark"]


def test_a_dry_run_does_not_say_that_anything_was_done() -> None:
    summary = StageSummary("x", Path("o"), {"images": 3})
    assert summary_as_text(summary).startswith("x: done, in o")
    assert summary_as_text(summary, dry_run=True).splitlines() == ["x: nothing was written, in o", "  images: 3"]


def test_quick_steps_say_nothing_in_between() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.start("a", 1000)
    for _ in range(1000):
        progress.advance()
    progress.start("b", None)
    progress.advance()
    assert stream.getvalue() == "a: 1000\nb\n"


def test_a_step_of_unknown_length_counts_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.start("look", None)
    for _ in range(4):
        now[0] += 6
        progress.advance(2)
    assert stream.getvalue().splitlines() == ["look", "look: 4", "look: 8"]


def test_a_terminal_gets_a_bar_and_markup_is_not_interpreted() -> None:
    stream = Terminal()
    with listening(stream) as progress:
        assert isinstance(progress, RichProgress)
        progress.advance()  # before any step: nothing to move
        progress.start("[red]render", 2)
        progress.advance(2)
        progress.start("write", None)
        progress.message("kept [bold]can_1[/bold]")
    shown = stream.getvalue()
    assert "[red]render" in shown
    assert "2/2" in shown
    assert "kept [bold]can_1[/bold]" in shown
    assert progress.seen == ["kept [bold]can_1[/bold]"]


def test_the_json_summary_takes_what_stages_hold() -> None:
    summary = StageSummary(
        "x",
        None,
        {"rate": np.float64(0.5), "n": np.int64(3), "nan": float("nan"), "p": Path("a"), "s": {"b", "a"}, "t": (1,)},
    )
    assert json.loads(summary_as_json(summary))["numbers"] == {
        "rate": 0.5, "n": 3, "nan": None, "p": "a", "s": ["a", "b"], "t": [1],
    }  # fmt: skip


def test_the_summary_of_a_run_has_two_lines_a_stage() -> None:
    stages = {
        "dataset": {
            "stage": "composite",
            "out": "o/dataset",
            "seconds": 12.34,
            "images": {"train": 3, "val": 1},
            "belts": {"a": 1, "b": 1, "c": 1, "d": 1},
            "rejected": [1, 2],
            "items": 9,
        },
        "gan": {"stage": "train-gan", "out": "o/gan", "unchanged": True, "note": "a smoke test"},
        "check": {"stage": "validate", "then": "run"},
    }
    assert summary_as_text(StageSummary("run", Path("o"), {"stages": stages})).splitlines() == [
        "run: done, in o",
        "  dataset: composite -> o/dataset (12 s)",
        "    images train 3, val 1; items 9",
        "  gan: train-gan -> o/gan (unchanged)",
        "    a smoke test",
        "  check: validate (run)",
    ]


def test_the_text_summary_lays_out_nested_numbers() -> None:
    numbers = {
        "images": 3,
        "share_kept": 1 / 3,
        "per_class": {"can": 2, "box": 1.0},
        "none_of_it": {},
        "stages": {"a": {"count": 1, "sizes": [1, 2]}, "b": {"note": "short"}},
        "rejected": [{"photo": "a.jpg", "reason": "small"}],
        "empty": [],
        "scale": None,
    }
    assert summary_as_text(StageSummary("x", Path("o"), numbers, open_file=Path("o/a.html"))).splitlines() == [
        "x: done, in o",
        "  images: 3",
        "  share kept: 0.3333",
        "  per class: can 2, box 1",
        "  none of it: none",
        "  stages",
        "    a: count 1, sizes 1, 2",
        "    b: note short",
        "  rejected:",
        "    photo a.jpg, reason small",
        "  empty: none",
        "  scale: none",
        "open o/a.html",
    ]
