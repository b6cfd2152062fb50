from pathlib import Path

import pytest
import torch

from garbage_synth.compute.checkpoint import CHECKPOINT_FILE, checkpoint_steps, load_checkpoint, save_checkpoint
from garbage_synth.compute.files import replacing
from garbage_synth.errors import GarbageSynthError


def test_state_survives_and_its_steps_can_be_read_alone(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    assert checkpoint_steps(tmp_path) is None
    save_checkpoint(tmp_path, {"step": 3, "total_steps": 9, "gan": {"weights": torch.arange(4.0)}})
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert torch.equal(state["gan"]["weights"], torch.arange(4.0))
    assert checkpoint_steps(tmp_path) == (3, 9)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code was run",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"version": 1, "evil": Evil()}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(GarbageSynthError, match="cannot be read"):
        load_checkpoint(tmp_path)
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", b"PK\x03\x04cut"])
def test_damaged_checkpoint_is_refused_with_the_way_out(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CHECKPOINT_FILE).write_bytes(data)
    with pytest.raises(GarbageSynthError, match="remove it to train from the beginning"):
        load_checkpoint(tmp_path)


def test_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"version": 0}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(GarbageSynthError, match="version 2"):
        load_checkpoint(tmp_path)


def test_replacing_keeps_the_old_file_where_the_writer_fails(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights"]


def test_replacing_clears_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / ".weights.0badcafe.tmp").write_text("half")
    with replacing(tmp_path / "weights") as temporary:
        temporary.write_text("new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights"]
