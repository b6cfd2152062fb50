"""The board that an item lies on: its colour and light as they would be without the item.

Everything here is in log space, log(value / 255 + LOG_OFFSET): a shadow or a lamp multiplies the board's colour, so
that there it adds the same number to all three channels, and what it cannot do is change their differences.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Board", "estimate_board", "frame_ring", "log_rgb", "smooth_fill"]

LOG_OFFSET = 0.03
_ROUNDS = 8
_TUKEY = 4.0  # residuals beyond so many sigmas weigh nothing
_MIN_SIGMA = 0.006


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """What is known of the board.

    field: float32 (h, w, 3), log RGB of the board. chroma_sigma, light_sigma: robust spread of the board's own pixels
    around it (log units), in colour and in brightness.
    """

    field: NDArray[np.float32]
    chroma_sigma: float
    light_sigma: float


def log_rgb(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """log(value / 255 + LOG_OFFSET) of RGB uint8 (h, w, 3), float32."""
    table = np.log(np.arange(256, dtype=np.float64) / 255 + LOG_OFFSET).astype(np.float32)
    return table[image_rgb]


def frame_ring(size_hw: tuple[int, int], fraction: float = 0.08) -> NDArray[np.bool_]:
    """bool (h, w): the rim of the picture, `fraction` of its short side wide."""
    height, width = size_hw
    rim = max(2, round(fraction * min(size_hw)))
    ring = np.ones((height, width), dtype=np.bool_)
    ring[rim : height - rim, rim : width - rim] = False
    return ring


def estimate_board(log_image: NDArray[np.float32], certain: NDArray[np.bool_]) -> Board:
    """The board fitted to log RGB float32 (h, w, 3).

    certain: bool (h, w), pixels that show the board (the rim of the picture, or all outside the item's box), dirt and
    shadows among them allowed. A plane, then a parabola of the place is fitted to them robustly (Tukey's biweight);
    then pixels elsewhere that agree with it join in, so that the fit need not reach across the picture.
    """
    height, width = certain.shape
    step = max(1, round(np.sqrt(height * width / 20_000)))
    basis = _basis((height, width))
    flat_basis = basis[::step, ::step].reshape(-1, basis.shape[2])
    values = log_image[::step, ::step].reshape(-1, 3)
    sure = certain[::step, ::step].reshape(-1)

    weight = sure.astype(np.float32)
    sigma = 1.0
    coefficients = np.zeros((basis.shape[2], 3), np.float32)
    for turn in range(_ROUNDS):
        terms = 3 if turn < 2 else basis.shape[2]
        part, weighted = flat_basis[:, :terms], flat_basis[:, :terms] * weight[:, None]
        system = weighted.T @ part + 1e-6 * np.eye(terms, dtype=np.float32) * max(1.0, float(weight.sum()))
        coefficients = np.zeros_like(coefficients)
        coefficients[:terms] = np.linalg.solve(system.astype(np.float64), (weighted.T @ values).astype(np.float64))
        residual = np.sqrt(((values - flat_basis @ coefficients) ** 2).sum(axis=1) / 3)
        sigma = max(_MIN_SIGMA, 1.4826 * float(np.median(residual[sure])))
        weight = np.clip(1 - (residual / (_TUKEY * sigma)) ** 2, 0, None) ** 2
        if turn < _ROUNDS // 2:
            weight *= sure
    field = (basis.reshape(-1, basis.shape[2]) @ coefficients).reshape(height, width, 3).astype(np.float32)
    chroma, light = split_residual(log_image - field)
    inside = certain & (np.abs(light) < 3 * _TUKEY * sigma)
    inside = inside if inside.any() else certain
    chroma_sigma = max(_MIN_SIGMA, 1.4826 * float(np.median(chroma[inside])) / 1.18)  # 1.18: median of a Rayleigh law
    return Board(field, chroma_sigma, max(_MIN_SIGMA, 1.4826 * float(np.median(np.abs(light[inside])))))


def split_residual(residual: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(colour difference >= 0, brightness difference, signed), each float32 (h, w), of log RGB residuals (h, w, 3)."""
    light = residual.mean(axis=2)
    return np.sqrt(((residual - light[..., None]) ** 2).sum(axis=2)), light


def smooth_fill(values: NDArray[np.float32], known: NDArray[np.bool_], sigma_px: float) -> NDArray[np.float32]:
    """values float32 (h, w, c) averaged over the known pixels nearby, continued smoothly where none are known.

    A pyramid of normalised averages: each place takes the finest level at which something is known.
    """
    weight = known.astype(np.float32)
    total = values * weight[..., None]
    if sigma_px > 0:
        total, weight = _blur(total, sigma_px), _blur(weight, sigma_px)
    return _pull_push(total, weight)


def _pull_push(total: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = weight.shape
    if min(height, width) <= 2:
        mean = total.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-12)
        coarse = np.broadcast_to(mean, total.shape)
    else:
        half = ((width + 1) // 2, (height + 1) // 2)
        low = _pull_push(
            np.atleast_3d(cv2.resize(total, half, interpolation=cv2.INTER_AREA)).astype(np.float32),
            cv2.resize(weight, half, interpolation=cv2.INTER_AREA).astype(np.float32),
        )
        coarse = np.atleast_3d(cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR))
    trust = np.clip(weight / 0.1, 0, 1)[..., None]
    mixed = trust * total / np.maximum(weight, 1e-6)[..., None] + (1 - trust) * coarse
    return np.asarray(mixed, dtype=np.float32)


def _blur(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE).astype(np.float32)


def _basis(size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (h, w, 6): 1, x, y, x^2, xy, y^2 with x and y in -1..1."""
    y, x = np.meshgrid(np.linspace(-1, 1, size_hw[0]), np.linspace(-1, 1, size_hw[1]), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)
