"""A two-label cut whose border prefers to run along edges: the globally optimal one, by convex relaxation.

Minimises sum(price * |grad u|) + sum(cost * u) over u in 0..1 (Bresson et al. 2007, "Fast global minimization of the
active contour/snake model") with the primal-dual iteration of Chambolle and Pock 2011. Deterministic, numpy alone.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["cheapest_cut"]

_STEP = 0.35  # both step sizes: their product times 8 (the norm of the gradient, squared) must not exceed 1


def cheapest_cut(
    cost: NDArray[np.float32], price: NDArray[np.float32], start: NDArray[np.float32], rounds: int
) -> NDArray[np.float32]:
    """u, float32 (h, w) in 0..1, near 1 where the item is.

    cost: float32 (h, w), what a pixel costs inside, negative = gains. price: float32 (h, w) >= 0, what a pixel length
    of border costs there. start: float32 (h, w), where the iteration begins.
    """
    u = start.astype(np.float32).copy()
    ahead = u.copy()
    px = np.zeros_like(u)
    py = np.zeros_like(u)
    divergence = np.empty_like(u)
    for _ in range(rounds):
        px[:, :-1] += _STEP * (ahead[:, 1:] - ahead[:, :-1])
        py[:-1] += _STEP * (ahead[1:] - ahead[:-1])
        scale = price / np.maximum(np.sqrt(px * px + py * py), np.maximum(price, 1e-9))
        px *= scale
        py *= scale
        divergence[:] = px + py
        divergence[:, 1:] -= px[:, :-1]
        divergence[1:] -= py[:-1]
        before = u
        u = np.clip(u + _STEP * (divergence - cost), 0, 1)
        ahead = 2 * u - before
    return u
