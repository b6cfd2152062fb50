"""Generators with drawn weights."""

import torch

from garbage_synth.gan.networks import WarpGenerator

__all__ = ["deform_widely"]


def deform_widely(network: WarpGenerator, seed: int = 0) -> WarpGenerator:
    """All its weights drawn: a small residual, and a displacement that goes as far as it may."""
    rng = torch.Generator().manual_seed(seed)
    last = {id(own): 0.02 for own in network.residual_head[-1].parameters()}
    if network.grid_head is not None:
        last |= {id(own): 3.0 for own in network.grid_head[-1].parameters()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * last.get(id(parameter), 0.1))
    return network
