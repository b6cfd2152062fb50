import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from garbage_synth.io.tar import write_tar


def test_bytes_depend_on_the_members_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"\x00\xff" * 700)
    write_tar(tmp_path / "a/one.tar", [("b.bin", file), ("ä.txt", "ä".encode()), ("c" * 150, b"")])
    file.touch()
    write_tar(tmp_path / "two.tar", [("b.bin", file), ("ä.txt", "ä".encode()), ("c" * 150, b"")])
    assert (tmp_path / "a/one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "two.tar") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == ["b.bin", "ä.txt", "c" * 150]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
        stream = archive.extractfile("b.bin")
        assert stream is not None
        assert stream.read() == file.read_bytes()


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def members() -> Iterator[tuple[str, bytes]]:
        yield "a", b"1"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tar(tmp_path / "a.tar", members())
    assert list(tmp_path.iterdir()) == []
