"""How much memory a picture takes in a generator, and how much there is."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from garbage_synth.errors import InputError

__all__ = ["BAND_PX", "MemoryPlan", "free_bytes", "peak_bytes", "refuse_oversize", "whole_frame_bytes"]

_LIVE_COPIES = 5.5
_IMAGE_BYTES_PER_PX = 80
"""Full-resolution feature maps alive at the worst moment, and the picture in its several forms, its displacement too.

Measured on the CPU with 8 to 64 base channels at 480x640 pixels in both precisions (3.9 to 5.0 maps), and rounded up.
"""

_KEPT_COPIES = 0.5
_BAND_COPIES = 8.0
_BAND_BYTES = 16 * 2**20
_LEVEL_BYTES_PER_PX = 16
"""In bands: two maps at a quarter of the size, full-resolution maps of one band, what the smallest picture takes, and
the picture in levels.

Measured on the CPU with 8 to 64 base channels at 1280x720 to 3840x2160 pixels in both precisions, 10 to 70 % lower; one
half more in bfloat16 with 32 channels.
"""

BAND_PX = 2**17
"""Pixels of a band, about."""

_LEAST_BAND_ROWS = 16

_SCALED_BYTES_PER_PX = 38
_CHANGE_BYTES_PER_PX = 44
"""Where a change is scaled up to a larger picture: of each pixel of that, and what is kept of each computed one.

Measured on the CPU at 640x360 to 3840x2160 pixels, 5 to 40 % lower.
"""

_WHOLE_FRAME_SHARE = 4


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Which pictures go through a generator as a whole frame, and which in bands of rows.

    base_channels: channels of the generator at full size. half: bfloat16, else float32. whole_frame_bytes: what a whole
    frame may take; pictures beyond it go in bands. None = no limit.
    """

    base_channels: int
    half: bool
    whole_frame_bytes: int | None = None

    def band_rows(self, size_wh: tuple[int, int]) -> int | None:
        """Rows of a band of the picture, None for a whole frame.

        About 131,072 pixels, whatever the limit: the last bits of the result depend on it.
        """
        if self.whole_frame_bytes is None or self._bytes(size_wh, None) <= self.whole_frame_bytes:
            return None
        return max(_LEAST_BAND_ROWS, BAND_PX // size_wh[0] // _LEAST_BAND_ROWS * _LEAST_BAND_ROWS)

    def peak_bytes(self, size_wh: tuple[int, int], scaled_to_wh: tuple[int, int] | None = None) -> int:
        """Upper estimate of the memory that translating the picture takes beside the weights, in bytes.

        scaled_to_wh: of a picture that is computed at another size, the size of its own.
        """
        computing = self._bytes(size_wh, self.band_rows(size_wh))
        if scaled_to_wh is None or scaled_to_wh == size_wh:
            return computing
        scaling = _SCALED_BYTES_PER_PX * math.prod(scaled_to_wh) + _BAND_BYTES
        return max(computing, scaling) + _CHANGE_BYTES_PER_PX * math.prod(size_wh)

    def in_bands(self) -> "MemoryPlan":
        """The plan that takes the least memory: every picture in bands."""
        return MemoryPlan(self.base_channels, self.half, 0)

    def _bytes(self, size_wh: tuple[int, int], band_rows: int | None) -> int:
        return peak_bytes(size_wh, base_channels=self.base_channels, half=self.half, band_rows=band_rows)


def peak_bytes(size_wh: tuple[int, int], *, base_channels: int, half: bool, band_rows: int | None = None) -> int:
    """Upper estimate of the memory that translating one picture takes beside the weights, in bytes.

    band_rows: rows of a band; None = the whole frame at once.
    """
    width, height = size_wh
    area = (width + 8) * (height + 8)
    map_bytes_per_px = base_channels * (2 if half else 4)
    if band_rows is None:
        return int((_LIVE_COPIES * map_bytes_per_px + _IMAGE_BYTES_PER_PX) * area)
    band_area = (width + 8) * (min(band_rows, height) + 8)
    kept = (_KEPT_COPIES * map_bytes_per_px + _LEVEL_BYTES_PER_PX) * area
    return int(kept + (_BAND_COPIES * map_bytes_per_px + _IMAGE_BYTES_PER_PX) * band_area) + _BAND_BYTES


def whole_frame_bytes(device: torch.device) -> int | None:
    """What a whole frame may take where nobody has said: a quarter of the memory of a CUDA device or of the machine
    (within a container's limit), None where unknown.

    Not of what is free now: the same command must give the same bytes, also when it goes on after an interruption, and
    bands differ from the whole frame in rounding.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1]) // _WHOLE_FRAME_SHARE
    total = _tightest(
        _kilobytes(Path("/proc/meminfo"), "MemTotal:"), _container_bytes(Path("/sys/fs/cgroup/memory.max"))
    )
    return None if total is None else total // _WHOLE_FRAME_SHARE


def free_bytes(device: torch.device) -> int | None:
    """Memory that can be taken now on a CUDA device or on the CPU (within a container's limit), None where unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # after a training, say
        return int(free) + kept
    return _tightest(
        _kilobytes(Path("/proc/meminfo"), "MemAvailable:"),
        _container_bytes(Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    )


def refuse_oversize(
    name: str,
    size_wh: tuple[int, int],
    plan: MemoryPlan,
    limit_bytes: int | None,
    scaled_to_wh: tuple[int, int] | None = None,
    check_bytes: int = 0,
    *,
    bf16_helps: bool = True,
) -> None:
    """Raise InputError naming what would do, where the picture takes more than `limit_bytes`; None = none is known.

    scaled_to_wh: see `MemoryPlan.peak_bytes`. check_bytes: what a label check takes of the same memory.
    bf16_helps: whether the device computes in bfloat16; emulated, it takes more.
    """
    needed = plan.peak_bytes(size_wh, scaled_to_wh) + check_bytes
    if limit_bytes is None or needed <= limit_bytes:
        return
    least = _gigabytes_up(plan.in_bands().peak_bytes(size_wh, scaled_to_wh) + check_bytes)
    if least * 2**30 <= limit_bytes:
        remedy = f"give --max-memory, {least:g} at least, to compute it in bands"
    else:
        other = "--precision bf16, " if bf16_helps and not plan.half else ""
        remedy = (
            f"it takes {least:g} at least, in bands: raise --max-memory where there is as much, "
            f"or choose {other}another device or a generator trained with --resize"
        )
    width, height = scaled_to_wh or size_wh
    where = "the generator and the label check" if check_bytes else "the generator"
    raise InputError(
        f"picture {name} of {width}x{height} pixels takes about {needed / 2**30:.2g} GB in {where}, "
        f"{limit_bytes / 2**30:.2g} GB may be taken; {remedy}"
    )


def _gigabytes_up(count: int) -> float:
    """Gigabytes in steps of a tenth, not less than `count` bytes."""
    return math.ceil(count / 2**30 * 10) / 10


def _tightest(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _kilobytes(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), None)


def _container_bytes(limit: Path, used: Path | None = None) -> int | None:
    try:
        taken = 0 if used is None else int(used.read_text(encoding="ascii"))
        return max(0, int(limit.read_text(encoding="ascii")) - taken)
    except (OSError, ValueError):  # no such controller, or the limit is "max"
        return None
