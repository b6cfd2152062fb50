"""Several processes that train one CycleGAN, each on its own part of every batch (`torchrun`).

Each process makes the same networks from the same seed, computes the gradients of its own pairs, and moves by the mean
of all: the result is that of one process with the batches of all, but for rounding and for what is drawn at random in
each: its image pools and the colours that the segmenter sees.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from garbage_synth.errors import InputError

__all__ = ["ALONE", "Team", "joined_team", "local_device"]

_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Team:
    """rank: this process, 0..size - 1; rank 0 writes the files and speaks. size: processes in all."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the processes into every tensor, in place; all of one dtype and device."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def tell(self, value: Any) -> Any:
        """The value that rank 0 has."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes by rank, at rank 0; elsewhere empty."""
        if self.size == 1:
            return [value]
        box: list[Any] | None = [None] * self.size if self.leads else None
        distributed.gather_object(value, box)
        return box or []


ALONE = Team()


def local_device(name: str) -> str:
    """The device name of this process: under torchrun "auto" and "cuda" mean the GPU of its local rank."""
    rank = os.environ.get("LOCAL_RANK")
    if rank is None or int(os.environ.get("WORLD_SIZE", "1")) == 1 or not torch.cuda.is_available():
        return name
    if name.startswith("cuda:"):
        raise InputError(f"--device {name} would put all processes of torchrun on one GPU; give cuda or auto")
    return f"cuda:{rank}" if name in ("auto", "cuda") else name


def joined_team(device: torch.device) -> Team:
    """The team that torchrun started, this process alone without it; NCCL between GPUs, Gloo between CPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    if not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)  # the others wait while the leader looks and writes
        atexit.register(distributed.destroy_process_group)
    return Team(distributed.get_rank(), distributed.get_world_size())
