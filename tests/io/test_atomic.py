import json
import os
from pathlib import Path

import pytest

from garbage_synth.io.atomic import write_bytes, write_json, write_text


def test_write_makes_parents_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"\0\xff")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\0\xff"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.bin"]


def test_a_failing_rename_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_text_is_utf8_with_its_own_newlines(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ü\r\nx\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xbc\r\nx\n"


def test_json_has_sorted_keys_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": ["ü", None]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["a", "b"]
    assert "ü" in text
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == text


def test_compact_json_is_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 2], "a": {}}, compact=True)
    assert (tmp_path / "a.json").read_text() == '{"a":{},"b":[1,2]}\n'
