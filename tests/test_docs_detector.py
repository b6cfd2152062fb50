"""The torchvision block of docs/train-a-detector.md runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.makers import drawn_dataset, write_tree

GUIDE = Path(__file__).parents[1] / "docs" / "train-a-detector.md"


def test_the_torchvision_block_trains_and_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "dataset", drawn_dataset({"train": [(96, 64)] * 4, "val": [(64, 96)] * 2}, seed=2))
    section = GUIDE.read_text().split("## torchvision")[1]
    block = re.search(r"```python\n(.*?)```", section, re.S)
    assert block is not None
    code, replaced = re.subn(r"EPOCHS = Path\(\"dataset\"\), 20", 'EPOCHS = Path("dataset"), 1', block[1])
    assert replaced == 1
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(GUIDE), "exec"), {})
    assert "Average Precision" in capsys.readouterr().out
