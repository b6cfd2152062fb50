import json
import math
from pathlib import Path

import pytest

from garbage_synth.core.progress import NullProgress
from garbage_synth.stages.train_gan_record import RunRecorder, finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_is_left_out_and_named_once(tmp_path: Path, value: float) -> None:
    recorder = RunRecorder(tmp_path, NullProgress())
    for step in (10, 20):
        recorder.evaluation(step, {"fid": value, "swd": 0.5}, step == 10)
    recorder.evaluation(30, {"fid": 2.0, "swd": 0.5}, False)
    records = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [record["evaluation"] for record in records] == [{"swd": 0.5}, {"swd": 0.5}, {"fid": 2.0, "swd": 0.5}]
    assert [record["best"] for record in records] == [True, False, False]
    assert len(recorder.warnings) == 1
    assert "fid is not finite after 10 steps" in recorder.warnings[0]


def test_only_finite_numbers_are_kept() -> None:
    assert finite({"a": 1.0, "b": math.nan, "c": math.inf, "d": 0.0}) == {"a": 1.0, "d": 0.0}
