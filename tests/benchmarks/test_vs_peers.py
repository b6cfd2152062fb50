"""The comparison ends well whatever is installed: peers here are shell scripts, ours is measured."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "vs_peers.py"
MEASURED = {"pictures": 2, "cpu_ms": 1000.0, "reading_ms": 100.0, "items": 8.0, "item_px": 280.0}


def put_peer(home: Path, name: str, script: str) -> None:
    python = home / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    home = tmp_path_factory.mktemp("peers")
    put_peer(home, "mdetsyn", f"echo '{json.dumps(MEASURED)}'")
    put_peer(home, "cpauger", "echo 'no module named x' >&2; exit 1")
    command = [
        sys.executable,
        str(SCRIPT),
        "--pictures",
        "2",
        "--rounds",
        "1",
        "--json",
        "--peers",
        str(home),
        "--variant",
        "",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return rows


def test_peers_are_compared_and_those_that_are_not_there_or_break_say_why(results: list[dict[str, Any]]) -> None:
    found = {result["way"]: result for result in results}
    ours = found["ours"]
    assert ours["ratio"] == {"": 1.0}
    assert ours["items"] == pytest.approx(8, abs=1)
    assert found["mdetsyn"]["ratio"][""] == pytest.approx(1000 / ours["cpu_ms"], abs=0.01)
    assert found["cpauger own"]["absent"] == "did not run: no module named x"
    assert "not installed" in found["overlay"]["absent"]
    assert "torchvision" in found[None]["absent"]


def test_the_table_has_a_line_and_a_note_per_tool_and_a_column_per_variant(
    results: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    table = importlib.import_module("vs_peers").table
    head, *lines = table(results, ["", "preset=x"]).splitlines()
    assert "ours/it " in head
    assert "ours/it preset=x" in head
    measured, notes = lines[: len(results)], "\n".join(lines[len(results) :])
    assert [line.split()[1] for line in measured][:2] == ["garbage-synth", "SynDataGenYOLO"]
    assert notes.count("not installed") == 5
