"""A ladder of real trainings in real processes, as small as they come."""

import json
from pathlib import Path
from typing import Any

from garbage_synth.core.progress import NullProgress
from garbage_synth.stages.ladder import ladder
from tests.makers import drawn_dataset, write_tree
from tests.stages.ladders import write_ladder


def test_two_arms_are_trained_by_two_processes_and_a_second_call_does_nothing(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        write_tree(tmp_path / name, drawn_dataset({"train": [(64, 64)] * 3, "test": [(64, 64)] * 2}, seed=seed))
    document = {
        "out": "made",
        "test": {"data": "one", "split": "test"},
        "detector": {"iterations": 2, "config": {"image_px": 64, "batch": 2}},
        "arms": {"a": {"train": "one"}, "b": {"train": "two"}},
        "gap": {"from": "a", "to": "b"},
    }
    path = write_ladder(tmp_path, document)
    said: list[str] = []
    bars: list[list[Any]] = []

    class Listener(NullProgress):
        def start(self, label: str, total: int | None) -> None:
            bars.append([label, total, 0])

        def advance(self, units: int = 1) -> None:
            bars[-1][2] += units

        def message(self, text: str) -> None:
            said.append(text)

    def ran() -> dict[str, Any]:
        assert ladder(path, workers=2, device="cpu", progress=Listener()).ok
        found: dict[str, Any] = json.loads((tmp_path / "made" / "results.json").read_text())
        return found

    found = ran()
    assert found["failed"] == {}
    assert ["iterations of 2 detectors", 4, 4] in bars
    assert {key: [seed["seed"] for seed in arm["seeds"]] for key, arm in found["arms"].items()} == {"a": [0], "b": [0]}
    assert all(arm["ap_mean"] is not None and arm["train"]["images"] == 3 for arm in found["arms"].values())
    assert (found["detector"]["iterations"], found["detector"]["config"]["image_px"]) == (2, 64)
    assert found["device"].startswith("CPU, 1 thread")
    assert set(found["arms"]["a"]["per_class"]) <= {"can", "paper", "bottle"}
    assert len([text for text in said if "trained in" in text]) == 2
    states = {made: made.stat().st_mtime_ns for made in (tmp_path / "made").glob("*/*/*")}
    said.clear()
    assert ran() == found
    assert said == ["2 of 2 detectors are finished and unchanged"]
    assert {made: made.stat().st_mtime_ns for made in states} == states
