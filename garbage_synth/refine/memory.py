"""How much memory a picture takes in a generator, and how much there is."""

from pathlib import Path

import torch

from garbage_synth.errors import InputError

__all__ = ["free_bytes", "peak_bytes", "refuse_oversize"]

_LIVE_COPIES = 5.5
_IMAGE_BYTES_PER_PX = 48
"""Full-resolution feature maps alive at the worst moment, and the picture in its several forms.

Measured on the CPU with 8 to 64 base channels at 480x640 pixels in both precisions (3.9 to 5.0 maps), and rounded up.
"""


def peak_bytes(size_wh: tuple[int, int], *, base_channels: int, half: bool) -> int:
    """Upper estimate of the memory that translating one picture takes beside the weights, in bytes."""
    width, height = size_wh
    return int((_LIVE_COPIES * base_channels * (2 if half else 4) + _IMAGE_BYTES_PER_PX) * (width + 8) * (height + 8))


def free_bytes(device: torch.device) -> int | None:
    """Memory that can be taken now on a CUDA device or on the CPU (within a container's limit), None where unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    bounds = [
        _kilobytes(Path("/proc/meminfo"), "MemAvailable:"),
        _container_bytes(Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    ]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known else None


def refuse_oversize(
    name: str, size_wh: tuple[int, int], *, base_channels: int, half: bool, budget_bytes: int | None
) -> None:
    """Raise InputError where the picture would not fit into the budget; None = no budget is known."""
    needed = peak_bytes(size_wh, base_channels=base_channels, half=half)
    if budget_bytes is None or needed <= budget_bytes:
        return
    remedy = "choose --device cpu or another machine" if half else "choose --precision bf16 or another machine"
    raise InputError(
        f"picture {name} of {size_wh[0]}x{size_wh[1]} pixels takes about {needed / 2**30:.1f} GB in the generator, "
        f"{budget_bytes / 2**30:.1f} GB are free; {remedy}, "
        "raise --set max_memory_gb where that is the limit, or use a generator trained with --resize"
    )


def _kilobytes(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), None)


def _container_bytes(limit: Path, used: Path) -> int | None:
    try:
        return max(0, int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such controller, or the limit is "max"
        return None
