from pathlib import Path

import pytest

from garbage_synth.io.records import append_record, keep_records, read_records


def test_records_come_back_in_order_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stats.jsonl"
    assert read_records(path) == []
    append_record(path, {"step": 1, "loss": 0.5})
    append_record(path, {"step": 2})
    path.write_text(path.read_text() + '[1]\n{"step": 3, "lo')
    assert read_records(path) == [{"loss": 0.5, "step": 1}, {"step": 2}]


def test_later_records_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    keep_records(path, key="step", up_to=2)
    assert not path.exists()
    for step in (1, 2, 3):
        append_record(path, {"step": step})
    append_record(path, {"other": 0})
    keep_records(path, key="step", up_to=2)
    assert read_records(path) == [{"step": 1}, {"step": 2}]


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        append_record(tmp_path / "stats.jsonl", {"loss": float("nan")})
