"""The state of a training on disk: one file, replaced whole, that holds everything the next step depends on."""

import pickle
from pathlib import Path
from typing import Any

import torch

from garbage_synth.compute.files import replacing
from garbage_synth.errors import GarbageSynthError

__all__ = ["CHECKPOINT_FILE", "checkpoint_steps", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_FILE = "checkpoint.pt"

_VERSION = 2


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, texts, lists and dicts of them) to folder/checkpoint.pt."""
    with replacing(folder / CHECKPOINT_FILE) as temporary:
        torch.save({"version": _VERSION, "torch": str(torch.__version__), **state}, temporary)


def checkpoint_steps(folder: Path) -> tuple[int, int] | None:
    """(steps done, total steps) of the checkpoint in `folder`, its tensors left on disk; None where there is none."""
    state = load_checkpoint(folder, on_disk=True)
    return None if state is None else (int(state["step"]), int(state["total_steps"]))


def load_checkpoint(folder: Path, *, on_disk: bool = False) -> dict[str, Any] | None:
    """The state in folder/checkpoint.pt with tensors on the CPU, or None where there is no such file.

    on_disk: the tensors are mapped, not read. Only tensors and plain values are loaded, no code.
    Raises GarbageSynthError for a damaged or foreign file.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=on_disk)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise GarbageSynthError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); remove it to train from the beginning"
        ) from error
    if not isinstance(state, dict) or state.get("version") != _VERSION:
        raise GarbageSynthError(f"checkpoint {path} is not of version {_VERSION}; train into another folder")
    return state
