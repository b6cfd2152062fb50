from pathlib import Path

import pytest
import torch

from garbage_synth.errors import InputError
from garbage_synth.refine import memory
from garbage_synth.refine.memory import free_bytes, peak_bytes, refuse_oversize

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("channels", "half", "measured_mb"),
    [(8, False, 54), (8, True, 32), (32, False, 163), (32, True, 93), (64, False, 291), (64, True, 206)],
)
def test_estimate_is_above_what_was_measured_but_not_by_half(channels: int, half: bool, measured_mb: int) -> None:
    # the peaks were measured as growth of the resident set, 640x480 pixels, ResNet-9, one thread
    estimate = peak_bytes((640, 480), base_channels=channels, half=half)
    assert measured_mb * 2**20 < estimate < 1.6 * measured_mb * 2**20


def test_estimate_grows_with_the_picture() -> None:
    small, large = (peak_bytes(size, base_channels=64, half=False) for size in ((1280, 720), (3840, 2160)))
    assert large == pytest.approx(9 * small, rel=0.02)
    assert small == pytest.approx(1.2 * 2**30, rel=0.3)


def test_free_memory_of_this_machine_is_known_on_linux() -> None:
    free = free_bytes(CPU)
    assert free is None or free > 2**20


def test_free_memory_is_the_tighter_of_machine_and_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable:   100 kB\n")
    assert memory._kilobytes(meminfo, "MemAvailable:") == 102400
    assert memory._kilobytes(meminfo, "Other:") is None
    assert memory._kilobytes(tmp_path / "nowhere", "MemAvailable:") is None
    limit, used = tmp_path / "max", tmp_path / "current"
    used.write_text("30\n")
    for text, wanted in (("100\n", 70), ("10\n", 0), ("max\n", None)):
        limit.write_text(text)
        assert memory._container_bytes(limit, used) == wanted
    assert memory._container_bytes(tmp_path / "nowhere", used) is None


def test_free_memory_of_a_gpu_is_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5, 9))
    assert free_bytes(torch.device("cuda", 0)) == 5


def test_picture_over_the_budget_is_refused_with_sizes_and_a_way_out() -> None:
    def refuse(half: bool, budget: int | None) -> None:
        refuse_oversize("big.jpg", (4000, 3000), base_channels=64, half=half, budget_bytes=budget)

    refuse(False, None)
    refuse(False, 2**40)
    with pytest.raises(InputError, match=r"big\.jpg of 4000x3000.*GB are free.*--precision bf16"):
        refuse(False, 2**30)
    with pytest.raises(InputError, match="another machine"):
        refuse(True, 2**30)
