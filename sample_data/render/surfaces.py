"""Painted textures of belts and boards, made with numpy: colour, roughness and height of a flat surface."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BELT_KINDS", "Surface", "belt_surface", "board_surface", "smooth_noise_2d"]

MM_PER_PX = 0.6

BELT_KINDS: dict[str, tuple[float, float, float]] = {
    "black_rubber": (0.185, 0.18, 0.175),
    "worn_rubber": (0.33, 0.315, 0.30),
    "green_pvc": (0.12, 0.26, 0.21),
    "grey_fabric": (0.34, 0.36, 0.38),
}
"""Base colour of each belt, sRGB 0..1."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A flat surface. colour: uint8 (h, w, 3) sRGB; roughness, height: uint8 (h, w), 0..1 as 0..255."""

    colour: NDArray[np.uint8]
    roughness: NDArray[np.uint8]
    height: NDArray[np.uint8]


def smooth_noise_2d(
    rng: np.random.Generator, size_hw: tuple[int, int], *, cell_px: tuple[float, float], octaves: int = 1
) -> NDArray[np.float32]:
    """Noise of zero mean and unit deviation, float32 (h, w), periodic along x; cell_px is (y, x), coarsest octave."""
    height, width = size_hw
    total = np.zeros(size_hw, np.float32)
    for octave in range(octaves):
        rows = max(2, round(height * 2**octave / cell_px[0]))
        columns = max(2, round(width * 2**octave / cell_px[1]))
        if rows >= height and columns >= width:
            grid = rng.standard_normal(size_hw, np.float32)
        else:
            grid = rng.standard_normal((min(rows, height), min(columns, width)), np.float32)
        wrapped = np.concatenate([grid[:, -2:], grid, grid[:, :2]], axis=1)
        margin = round(2 * width / grid.shape[1])
        layer = cv2.resize(wrapped, (width + 2 * margin, height), interpolation=cv2.INTER_CUBIC)
        total += 0.5**octave * layer[:, margin : margin + width]
    total -= total.mean()
    return np.asarray(total / (total.std() + 1e-6), dtype=np.float32)


def belt_surface(
    rng: np.random.Generator, kind: str, *, length_m: float, width_m: float, dirt: float, wear: float
) -> Surface:
    """One used conveyor belt that closes along its length (x). dirt, wear: 0 (new) to 1 (due for replacement)."""
    size = (round(width_m * 1000 / MM_PER_PX), round(length_m * 1000 / MM_PER_PX))
    colour = np.broadcast_to(np.float32(BELT_KINDS[kind]), (*size, 3)).copy()
    roughness = np.full(size, 0.62 if kind != "green_pvc" else 0.42, np.float32)
    height = np.full(size, 0.5, np.float32)

    grain = rng.standard_normal(size, np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8)
    colour += (0.022 * grain)[..., None]
    height += 0.10 * grain
    if kind == "grey_fabric" or kind == "green_pvc":
        weave_y, weave_x = np.indices(size, np.float32)
        weave = np.sin(weave_x * (2 * np.pi / 4.0)) * np.sin(weave_y * (2 * np.pi / 4.0))
        colour += (0.012 * weave)[..., None]
        height += 0.12 * weave.astype(np.float32)

    # wear: bands along the travel where items and scrapers run
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    band = np.exp(-((across / 0.62) ** 4)) * (0.7 + 0.3 * smooth_noise_2d(rng, size, cell_px=(300, 900), octaves=3))
    colour += (wear * 0.055 * band)[..., None]
    streaks = smooth_noise_2d(rng, size, cell_px=(14, 1500), octaves=4)
    colour += (wear * 0.011 * streaks)[..., None]
    roughness += 0.02 * streaks
    _scratch(rng, colour, height, count=int(30 + 160 * wear))

    # dirt: dust in patches, wet stains, crumbs
    dust_colour = np.float32((0.50, 0.455, 0.39)) + rng.uniform(-0.04, 0.04, 3).astype(np.float32)
    patches = smooth_noise_2d(rng, size, cell_px=(330, 520), octaves=6)
    fine = smooth_noise_2d(rng, size, cell_px=(10, 14), octaves=2)
    dust = np.clip(0.22 * patches + 0.07 * fine - 0.10 + 0.14 * dirt, 0, 0.62)[..., None] * (0.35 + 0.65 * dirt)
    colour += dust * (dust_colour - colour)
    roughness += 0.3 * dust[..., 0]
    for _ in range(rng.poisson(5 + 16 * dirt)):
        _stain(rng, colour, roughness)
    _crumbs(rng, colour, height, count=int(rng.poisson(150 + 1500 * dirt)))
    _splice(rng, colour, roughness, height)
    return Surface(_to_bytes(colour), _to_bytes(np.clip(roughness, 0.12, 1.0)), _to_bytes(height))


def board_surface(rng: np.random.Generator, size_hw: tuple[int, int] = (900, 1200)) -> Surface:
    """A pale board such as people photograph things on: card, painted wood, a worktop or light planks."""
    look = rng.choice(["card", "cream", "worktop", "planks"], p=[0.45, 0.25, 0.15, 0.15])
    base = {
        "card": (0.90, 0.90, 0.89),
        "cream": (0.90, 0.87, 0.80),
        "worktop": (0.80, 0.80, 0.79),
        "planks": (0.84, 0.76, 0.64),
    }
    colour = np.broadcast_to(np.float32(base[str(look)]), (*size_hw, 3)).copy()
    colour += rng.uniform(-0.03, 0.03)
    colour += (0.006 * smooth_noise_2d(rng, size_hw, cell_px=(260, 260), octaves=4))[..., None]
    if look == "worktop":
        colour += (0.02 * smooth_noise_2d(rng, size_hw, cell_px=(4, 4)))[..., None]
    if look == "planks":
        grain = smooth_noise_2d(rng, size_hw, cell_px=(7, 700), octaves=3)
        colour += grain[..., None] * np.float32((0.020, 0.022, 0.024))
        for y in range(int(rng.integers(60, 200)), size_hw[0], 260):
            colour[y : y + 3] -= 0.16
    grain = smooth_noise_2d(rng, size_hw, cell_px=(3, 3))
    rough = np.full(size_hw, 0.75 if look != "worktop" else 0.45, np.float32)
    return Surface(_to_bytes(colour + 0.004 * grain[..., None]), _to_bytes(rough), _to_bytes(0.5 + 0.05 * grain))


def _scratch(rng: np.random.Generator, colour: NDArray[np.float32], height: NDArray[np.float32], *, count: int) -> None:
    size = height.shape
    layer = np.zeros(size, np.float32)
    for _ in range(count):
        x, y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
        length = rng.lognormal(4.3, 0.8)
        angle = rng.normal(0, 0.12) if rng.random() < 0.75 else rng.uniform(0, np.pi)
        bow = rng.normal(0, 0.05)
        steps = np.linspace(0, 1, 8)
        line = np.stack(
            [x + length * steps * np.cos(angle + bow * steps), y + length * steps * np.sin(angle + bow * steps)], 1
        )
        cv2.polylines(
            layer, [np.int32(line)], False, float(rng.uniform(-0.7, 1.0)), int(rng.integers(1, 3)), cv2.LINE_AA
        )
    layer = cv2.GaussianBlur(layer, (0, 0), 0.7)
    colour += (0.07 * layer)[..., None]
    height -= 0.3 * np.abs(layer)


def _stain(rng: np.random.Generator, colour: NDArray[np.float32], roughness: NDArray[np.float32]) -> None:
    """A dried or wet splash with a ragged rim."""
    side = int(rng.lognormal(4.1, 0.6))
    side = min(max(side, 12), 500)
    y, x = int(rng.integers(0, max(1, colour.shape[0] - side))), int(rng.integers(0, max(1, colour.shape[1] - side)))
    grid_y, grid_x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    stretch = rng.uniform(0.6, 1.6)
    radius = np.hypot(grid_x * stretch, grid_y / stretch) + 0.16 * smooth_noise_2d(
        rng, (side, side), cell_px=(side / 4, side / 4), octaves=3
    )
    inside = np.clip((0.62 - radius) * 7, 0, 1)[..., None]
    patch = colour[y : y + side, x : x + side]
    tint = np.float32(
        rng.choice(
            [(0.09, 0.085, 0.08), (0.22, 0.17, 0.11), (0.55, 0.52, 0.47), (0.30, 0.24, 0.18)], p=[0.5, 0.2, 0.15, 0.15]
        )
    )
    strength = rng.uniform(0.15, 0.6)
    patch += strength * inside * (tint - patch)
    if rng.random() < 0.35:
        roughness[y : y + side, x : x + side] -= 0.4 * inside[..., 0]


def _crumbs(rng: np.random.Generator, colour: NDArray[np.float32], height: NDArray[np.float32], *, count: int) -> None:
    """Grit, shreds of paper and splinters of a millimetre or two."""
    palette = np.float32(
        [(0.75, 0.72, 0.66), (0.45, 0.36, 0.26), (0.62, 0.60, 0.57), (0.08, 0.08, 0.08), (0.30, 0.45, 0.55)]
    )
    shares = (0.25, 0.35, 0.2, 0.17, 0.03)
    for tint in rng.choice(len(palette), count, p=shares):
        centre = (int(rng.integers(0, height.shape[1])), int(rng.integers(0, height.shape[0])))
        if rng.random() < 0.85:
            half = (int(rng.integers(1, 3)), 1)
        else:
            half = (int(rng.integers(2, 7)), int(rng.integers(1, 3)))
        angle = float(rng.uniform(0, 180))
        shade = palette[tint] * rng.uniform(0.7, 1.1)
        cv2.ellipse(colour, centre, half, angle, 0, 360, tuple(float(v) for v in shade), -1, cv2.LINE_AA)
        cv2.ellipse(height, centre, half, angle, 0, 360, 0.85, -1)


def _splice(
    rng: np.random.Generator, colour: NDArray[np.float32], roughness: NDArray[np.float32], height: NDArray[np.float32]
) -> None:
    """The joint where the belt was closed: vulcanised fingers or a row of metal clips."""
    x = int(rng.uniform(0.15, 0.85) * colour.shape[1])
    if rng.random() < 0.55:
        ys = np.arange(0, colour.shape[0] + 26, 26)
        fingers = np.stack([x + np.where(np.arange(len(ys)) % 2, 34, -34), ys], 1).astype(np.int32)
        cv2.polylines(height, [fingers], False, 0.1, 3, cv2.LINE_AA)
        shade = np.zeros(height.shape, np.float32)
        cv2.polylines(shade, [fingers], False, 1.0, 3, cv2.LINE_AA)
        colour -= (0.10 * shade)[..., None]
        colour[:, max(0, x - 60) : x + 60] += 0.018
        roughness[:, max(0, x - 60) : x + 60] -= 0.08
        return
    for y in range(6, colour.shape[0] - 12, 24):
        shade = float(rng.uniform(0.42, 0.6))
        cv2.rectangle(colour, (x - 22, y), (x + 22, y + 13), (shade, shade, shade * 1.02), -1)
        cv2.rectangle(height, (x - 22, y), (x + 22, y + 13), 0.95, -1)
        cv2.rectangle(roughness, (x - 22, y), (x + 22, y + 13), 0.35, -1)
        for bolt in (x - 13, x + 13):
            cv2.circle(colour, (bolt, y + 6), 4, (0.25, 0.25, 0.26), -1, cv2.LINE_AA)
    cv2.line(colour, (x, 0), (x, colour.shape[0]), (0.04, 0.04, 0.04), 2)


def _to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values * 255.0), 0, 255), dtype=np.uint8)
