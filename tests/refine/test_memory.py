from pathlib import Path

import pytest
import torch

from garbage_synth.errors import InputError
from garbage_synth.refine import memory
from garbage_synth.refine.memory import MemoryPlan, free_bytes, peak_bytes, refuse_oversize, whole_frame_bytes

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("channels", "half", "measured_mb"),
    [(8, False, 54), (8, True, 32), (32, False, 163), (32, True, 93), (64, False, 291), (64, True, 206)],
)
def test_estimate_is_above_what_was_measured_but_not_by_half(channels: int, half: bool, measured_mb: int) -> None:
    # the peaks were measured as growth of the resident set, 640x480 pixels, ResNet-9, one thread
    estimate = peak_bytes((640, 480), base_channels=channels, half=half)
    assert measured_mb * 2**20 < estimate < 1.6 * measured_mb * 2**20


@pytest.mark.parametrize(
    ("size_wh", "channels", "half", "measured_mb"),
    [
        ((1280, 720), 8, False, 61),
        ((1280, 720), 32, False, 179),
        ((1280, 720), 64, False, 297),
        ((1280, 720), 64, True, 207),
        ((1920, 1080), 32, False, 279),
        ((3840, 2160), 64, False, 1123),
    ],
)
def test_estimate_of_bands_is_above_what_was_measured_but_not_twice(
    size_wh: tuple[int, int], channels: int, half: bool, measured_mb: int
) -> None:
    # measured as those above; the first and fifth anew with warp6 and dither, which the others lack
    estimate = MemoryPlan(channels, half, 0).peak_bytes(size_wh)
    assert measured_mb * 2**20 < estimate < 1.7 * measured_mb * 2**20


@pytest.mark.parametrize(
    ("size_wh", "computed_wh", "channels", "limit", "measured_mb"),
    [
        ((3840, 2160), (512, 288), 2, None, 256),
        ((1920, 1080), (512, 288), 2, None, 83),
        ((3840, 2160), (1920, 1080), 2, None, 353),
        ((3840, 2160), (1920, 1080), 2, 0, 316),
        ((1920, 1080), (1280, 720), 16, 0, 121),
        ((1920, 1080), (1280, 720), 16, None, 294),
        ((640, 360), (1280, 720), 4, None, 137),
    ],
)
def test_estimate_counts_the_picture_that_a_change_is_scaled_up_to(
    size_wh: tuple[int, int], computed_wh: tuple[int, int], channels: int, limit: int | None, measured_mb: int
) -> None:
    # measured as those above, with warp6
    estimate = MemoryPlan(channels, False, limit).peak_bytes(computed_wh, size_wh)
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
        assert memory._container_bytes(limit) == (None if wanted is None else int(text))
    assert memory._container_bytes(tmp_path / "nowhere", used) is None
    assert memory._tightest(None, 5, 3) == 3
    assert memory._tightest(None, None) is None


def test_memory_of_a_gpu_is_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5, 9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 4)  # kept after something else, and ours
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1)
    assert free_bytes(torch.device("cuda", 0)) == 8
    assert whole_frame_bytes(torch.device("cuda", 0)) == 2


def test_whole_frames_may_take_a_share_of_the_machine_not_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def kilobytes(_: Path, key: str) -> int:
        asked.append(key)
        return 80

    monkeypatch.setattr(memory, "_kilobytes", kilobytes)
    monkeypatch.setattr(memory, "_container_bytes", lambda *paths: 40 if len(paths) == 1 else 0)
    assert whole_frame_bytes(CPU) == 10
    assert asked == ["MemTotal:"]
    monkeypatch.setattr(memory, "_container_bytes", lambda *_: None)
    assert whole_frame_bytes(CPU) == 20
    monkeypatch.setattr(memory, "_kilobytes", lambda *_: None)
    assert whole_frame_bytes(CPU) is None


def test_pictures_over_the_limit_go_in_bands_of_a_height_that_the_limit_does_not_change() -> None:
    sizes = [(640, 480), (1280, 720), (3840, 2160), (9000, 100)]
    rows = {
        limit: [MemoryPlan(64, False, limit).band_rows(size) for size in sizes] for limit in (None, 2**31, 2**29, 0)
    }
    assert rows == {
        None: [None] * 4,
        2**31: [None, None, 32, None],
        2**29: [None, 96, 32, 16],
        0: [192, 96, 32, 16],
    }
    plan = MemoryPlan(64, False, 2**31)
    assert plan.peak_bytes(sizes[1]) == peak_bytes(sizes[1], base_channels=64, half=False)
    assert plan.peak_bytes(sizes[2]) == peak_bytes(sizes[2], base_channels=64, half=False, band_rows=32)
    assert plan.in_bands().peak_bytes(sizes[1]) < plan.peak_bytes(sizes[1]) / 3


def test_picture_over_the_limit_is_refused_with_sizes_and_the_least_that_would_do() -> None:
    def refuse(half: bool, whole: int | None, limit: int | None) -> None:
        refuse_oversize("big.jpg", (4000, 3000), MemoryPlan(64, half, whole), limit)

    refuse(False, None, None)
    refuse(False, None, 2**40)
    refuse(False, 0, 2**31)
    with pytest.raises(InputError, match=r"big\.jpg of 4000x3000 .* about 17 GB .* 2 GB may .*--max-memory, 2 at le"):
        refuse(False, None, 2**31)
    with pytest.raises(InputError, match=r"about 2 GB .* 1 GB may .*takes 2 at least, in bands.*--precision bf16"):
        refuse(False, 0, 2**30)
    with pytest.raises(InputError, match="or choose another device"):
        refuse(True, 0, 2**29)
    with pytest.raises(InputError, match=r"big\.jpg of 4000x3000 pixels takes about 0\.44 GB"):
        refuse_oversize("big.jpg", (381, 286), MemoryPlan(4, False, None), 2**28, (4000, 3000))
    refuse_oversize("big.jpg", (381, 286), MemoryPlan(4, False, None), 2**28, (381, 286))
