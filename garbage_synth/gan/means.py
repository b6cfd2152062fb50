"""Means over parts of pictures, each picture for itself: the loss of a batch is the mean of its pictures' losses.

A team of processes with a picture each therefore descends as one process with them all.
"""

from torch import Tensor

__all__ = ["LEAST_SHARE", "mean_over"]

LEAST_SHARE = 0.01
"""Share of a picture below which a region's mean fades to 0, lest a few pixels weigh as much as many."""


def mean_over(values: Tensor, region: Tensor) -> Tensor:
    """The mean of values over a region of weights 0..1, both (b, ...), per picture, and the mean of those; a scalar.

    It fades to 0 with a tiny region.
    """
    inside = tuple(range(1, region.dim()))
    least = LEAST_SHARE * region[0].numel()
    return ((values * region).sum(inside) / region.sum(inside).clamp_min(least)).mean()
