"""The exponential moving average of a network's parameters: steadier than the last step's."""

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

__all__ = ["averaged_copy", "update_average"]


def averaged_copy(network: Network) -> Network:
    """A copy of `network` that takes no gradients, to be moved by `update_average`."""
    return copy.deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, step: int, decay: float) -> None:
    """Move `average` towards `network`, in place, after step 0, 1, ...; its buffers become those of `network`.

    The decay grows from 0.1 as (1 + step) / (10 + step) up to `decay`, so that short trainings are averaged too.
    """
    weight = 1.0 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), weight)
    for own, current in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(current)
