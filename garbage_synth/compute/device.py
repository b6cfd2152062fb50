"""Which device and which number format to compute with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast, get_args

import torch

from garbage_synth.errors import GarbageSynthError, InputError

__all__ = [
    "Acceleration",
    "Precision",
    "choose_acceleration",
    "choose_device",
    "choose_precision",
    "computes_bf16",
    "computing_threads",
    "cudnn",
    "describe",
    "is_out_of_memory",
    "out_of_memory",
]

Precision = Literal["fp32", "bf16"]

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
"""In what torch's allocator for the CPU says, and CUDA, cuDNN and cuBLAS, where they had none left for themselves."""

Acceleration = Literal["none", "graph", "compile"]
"""How the kernels of a step are started: one by one; from a recorded CUDA graph; fused by torch.compile first, and from
a graph where there is a GPU."""


def choose_device(name: str) -> torch.device:
    """The device of "auto", "cpu", "cuda" or "cuda:<index>"; auto takes the first CUDA device, else the CPU.

    Raises InputError for another name and for a CUDA device that is not there.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, colon, index = name.partition(":")
    if kind != "cuda" or (colon and not index.isdecimal()):
        raise InputError(f"--device {name!r} is unknown; give auto, cpu, cuda or cuda:<index>")
    if not torch.cuda.is_available():
        raise InputError(
            f"--device {name} was asked for, but this torch ({torch.__version__}) sees no CUDA device; use cpu"
        )
    number = int(index or 0)
    if number >= torch.cuda.device_count():
        raise InputError(
            f"--device {name} was asked for, but there are {torch.cuda.device_count()} CUDA devices, from 0"
        )
    return torch.device("cuda", number)


def choose_precision(name: str, device: torch.device) -> Precision:
    """fp32 or bf16 (bfloat16 in convolutions, everything else float32); auto is bf16 where the device computes in it.

    Raises InputError for another name.
    """
    if name == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    if name == "bf16":
        return "bf16"
    if name == "fp32":
        return "fp32"
    raise InputError(f"--precision {name!r} is unknown; give auto, fp32 or bf16")


def choose_acceleration(name: str, device: torch.device, *, processes: int = 1) -> Acceleration:
    """none, graph or compile; auto is graph on one GPU and none elsewhere.

    Raises InputError for another name, and for graph on a CPU or in several processes.
    """
    if name == "auto":
        return "graph" if device.type == "cuda" and processes == 1 else "none"
    if name == "graph" and processes > 1:
        raise InputError("accelerate=graph works in one process alone, not under torchrun; give auto, none or compile")
    if name == "graph" and device.type != "cuda":
        raise InputError("accelerate=graph needs a CUDA device; give auto, none or compile")
    if name in get_args(Acceleration):
        return cast(Acceleration, name)
    raise InputError(f"accelerate={name!r} is unknown; give auto, {', '.join(get_args(Acceleration))}")


def describe(device: torch.device, precision: Precision) -> str:
    """The device in words for a message."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {precision}"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}, {precision}"


@contextmanager
def cudnn(*, benchmark: bool = False, deterministic: bool = False) -> Iterator[None]:
    """How cuDNN chooses the algorithms of convolutions inside the block; a CPU knows nothing of it.

    benchmark: it tries them once per shape, which pays where shapes stay. deterministic: none whose sums come in any
    order, so that the same input gives the same bits on the same device; who asked torch for that before keeps it.
    """
    chosen = torch.backends.cudnn
    before = chosen.benchmark, chosen.deterministic
    try:
        chosen.benchmark, chosen.deterministic = benchmark, deterministic or before[1]
        yield
    finally:
        chosen.benchmark, chosen.deterministic = before


@contextmanager
def computing_threads(count: int | None) -> Iterator[None]:
    """Let torch compute with `count` CPU threads inside the block; None leaves it as it is."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises when an allocation fails, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def out_of_memory(doing: str, remedy: str) -> GarbageSynthError:
    """The error for the user. doing: what was too large; remedy: what to change."""
    return GarbageSynthError(f"memory ran out {doing}; {remedy}")


def computes_bf16(device: torch.device) -> bool:
    """True where bfloat16 is computed by the hardware, not emulated."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(probe is not None and probe() for probe in probes)
