"""Paper: crumpled balls and sheets, folded newspapers, flyers, letters and torn scraps."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials
from sample_data.render.creases import facet_noise, fold_over, hinge
from sample_data.render.lofts import triangles
from sample_data.render.mesh import Surface, grid, merge, new_object, smooth_noise, solidify

_MAX_VERTS = 5600
_FORMS = ("sheet", "flyer", "letter", "newspaper", "scrap", "half", "ball")
_FLAT_SHARE = np.array([0.22, 0.26, 0.2, 0.22, 0.07, 0.03, 0.0])
_CRUSHED_SHARE = np.array([0.02, 0.02, 0.03, 0.06, 0.03, 0.26, 0.6])
_X, _Y, _Z = np.eye(3)


def build_paper(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """Return one piece of paper of 5-29 cm, linked into the scene; ``crush`` 0 = a flat sheet .. 1 = a ball."""
    share = _FLAT_SHARE * (1 - crush) + _CRUSHED_SHARE * crush
    form = str(rng.choice(_FORMS, p=share / share.sum()))
    size_m = _size(rng, form)
    layers = 2 if form == "newspaper" else 1
    sheets = []
    for layer in range(layers):
        surface = _sheet(size_m, _MAX_VERTS // layers)
        verts = surface[0] + layer * np.array([0.001, 0.0015, -0.0011])
        if form == "scrap" or (layers == 1 and rng.random() < 0.12):
            verts = _torn(verts, rng, size_m)
        uvs = verts[surface[1], :2] / np.asarray(size_m) + 0.5
        sheets.append((verts, surface[1], uvs))
    stack, _ = merge(sheets)
    verts = _shaped(stack[0], rng, form, size_m, crush)
    stack = triangles((verts, stack[1], stack[2]))
    solid = solidify(stack, 0.00016)
    count = len(stack[1])
    slots = np.zeros(len(solid[1]), dtype=np.int32)
    slots[count : 2 * count] = 1
    dirt = float(rng.uniform(0.0, 0.25) + 0.25 * crush * rng.random())
    front, back, roughness = _prints(rng, form)
    sides = [
        materials.printed(picture, rng, roughness=roughness, dirt=dirt, wear=0.0, name="paper_print")
        for picture in (front, back[:, ::-1])
    ]
    return new_object("paper", *solid, sides, slots, sharp_angle_deg=26.0)


def _size(rng: np.random.Generator, form: str) -> tuple[float, float]:
    if form == "newspaper":
        width = rng.uniform(0.34, 0.45)
        return width, width * rng.uniform(0.62, 0.74)
    if form == "scrap":
        return float(rng.uniform(0.07, 0.16)), float(rng.uniform(0.06, 0.14))
    if form == "letter":
        return float(rng.uniform(0.15, 0.21)), float(rng.uniform(0.24, 0.297))
    width = rng.uniform(0.105, 0.205) if form in ("flyer", "sheet") else rng.uniform(0.15, 0.3)
    return float(width), float(min(width * rng.uniform(1.2, 1.48), 0.4 if form == "ball" else 0.28))


def _sheet(size_m: tuple[float, float], vertex_budget: int) -> Surface:
    cell = np.sqrt(size_m[0] * size_m[1] / vertex_budget)
    return grid(size_m, (int(size_m[0] / cell) - 1, int(size_m[1] / cell) - 1))


def _torn(verts: NDArray[np.float64], rng: np.random.Generator, size_m: tuple[float, float]) -> NDArray[np.float64]:
    """Pull one or two edges of the sheet in to a ragged line."""
    for axis in rng.permutation(2)[: int(rng.integers(1, 3))]:
        other = 1 - axis
        where = np.zeros_like(verts)
        where[:, 0] = verts[:, other]
        ragged = smooth_noise(where, rng, wavelength_m=0.05, octaves=4)
        keep = np.clip(
            rng.uniform(0.55, 0.8) + rng.normal(0, 0.25) * verts[:, other] / size_m[other] + 0.16 * ragged, 0.2, 1.0
        )
        half = size_m[axis] / 2
        verts = verts.copy()
        verts[:, axis] = (verts[:, axis] + half) * keep - half
    return verts


def _shaped(
    rest: NDArray[np.float64], rng: np.random.Generator, form: str, size_m: tuple[float, float], crush: float
) -> NDArray[np.float64]:
    verts = rest.copy()
    span = max(size_m)
    if form == "newspaper":
        verts = _folded_newspaper(verts, rng, size_m)
        verts[:, 2] += 0.002 * smooth_noise(rest, rng, wavelength_m=0.12)
        verts = _wavy(verts, verts, rng, 0.2, 0.004 + 0.012 * crush)
        verts += facet_noise(verts[:, :2], rng, spacing_m=0.05) * rng.normal(0, 1, 3) * 0.005 * crush
        return _random_folds(verts, rng, round(2 * crush), 0.2, 25 + 45 * crush)
    if form == "ball":
        return _ball(verts, rng, span, tight=rng.uniform(0.85, 1.1))
    if form == "half":
        verts = _crumpled_sheet(verts, rest, rng, amount=0.5 + 0.5 * crush)
        headings = rng.uniform(0, 2 * np.pi) + rng.uniform(-0.8, 0.8, int(3 + 8 * crush))
        for heading in headings:
            normal = np.array([np.cos(heading), np.sin(heading), rng.normal(0, 0.6)])
            normal /= np.linalg.norm(normal)
            reach = float((verts @ normal).max())
            verts = fold_over(
                verts, normal=normal, offset_m=reach * rng.uniform(0.5, 0.82), fold=float(rng.uniform(1.5, 1.95))
            )
        return verts + _ruffle(rest, rng, 0.02, 0.0018)
    if form == "letter":
        third = size_m[1] / 6
        for sign in (-1.0, 1.0):
            verts = hinge(
                verts,
                across=sign * _Y,
                lift=_Z * (sign if rng.random() < 0.4 else 1.0),
                offset_m=third,
                angle_deg=float(rng.uniform(8, 150)),
                width_m=0.003,
            )
    else:
        verts = _rolled(verts, rng, span, float(rng.uniform(10, 80)))
        if rng.random() < 0.4:
            heading = rng.choice([0.0, np.pi / 2])
            across = np.array([np.cos(heading), np.sin(heading), 0.0])
            verts = hinge(
                verts, across=across, lift=_Z, offset_m=0.0, angle_deg=float(rng.uniform(10, 165)), width_m=0.003
            )
    for _ in range(int(rng.integers(0, 3))):
        heading = np.pi / 4 + rng.integers(4) * np.pi / 2 + rng.normal(0, 0.25)
        across = np.array([np.cos(heading), np.sin(heading), 0.0])
        reach = float((rest @ across).max())
        verts = hinge(
            verts,
            across=across,
            lift=_Z * rng.choice([-1.0, 1.0]),
            offset_m=reach * rng.uniform(0.6, 0.9),
            angle_deg=float(rng.uniform(15, 150)),
            width_m=float(rng.choice([0.003, 0.02])),
        )
    verts = _wavy(verts, rest, rng, 0.11, 0.003 + 0.006 * rng.random())
    if crush > 0.05:
        verts = _crumpled_sheet(verts, rest, rng, amount=0.75 * crush)
        verts = _random_folds(verts, rng, round(3 * crush), 0.35, 30 + 60 * crush)
    return verts


def _wavy(
    verts: NDArray[np.float64],
    where: NDArray[np.float64],
    rng: np.random.Generator,
    wavelength_m: float,
    height_m: float,
) -> NDArray[np.float64]:
    lifted = verts.copy()
    lifted[:, 2] += height_m * smooth_noise(where, rng, wavelength_m=wavelength_m)
    return lifted


def _rolled(
    verts: NDArray[np.float64], rng: np.random.Generator, span_m: float, total_deg: float
) -> NDArray[np.float64]:
    heading = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.3)
    across = np.array([np.cos(heading), np.sin(heading), 0.0])
    lift = _Z * rng.choice([-1.0, 1.0])
    return hinge(
        verts,
        across=across,
        lift=lift,
        offset_m=-span_m * rng.uniform(0.1, 0.5),
        angle_deg=total_deg,
        width_m=span_m * rng.uniform(0.4, 0.9),
    )


def _crumpled_sheet(
    verts: NDArray[np.float64], rest: NDArray[np.float64], rng: np.random.Generator, *, amount: float
) -> NDArray[np.float64]:
    """Crease an open sheet all over into facets and draw it together accordingly."""
    rough = verts.copy()
    for spacing in (0.06, 0.026, 0.013):
        rough[:, 2] += amount * 0.19 * spacing * facet_noise(rest[:, :2], rng, spacing_m=spacing)[:, 0]
    rough[:, :2] *= 1 - 0.14 * amount
    return rough


def _ruffle(
    rest: NDArray[np.float64], rng: np.random.Generator, spacing_m: float, size_m: float
) -> NDArray[np.float64]:
    """Return (V, 3) offsets that break the sheet into facets turned every way."""
    return size_m * facet_noise(rest[:, :2], rng, spacing_m=spacing_m, channels=3)


def _random_folds(
    verts: NDArray[np.float64], rng: np.random.Generator, count: int, reach_share: float, angle_deg: float
) -> NDArray[np.float64]:
    for _ in range(count):
        heading = rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(heading), np.sin(heading), 0.0])
        reach = float((verts @ across).max())
        verts = hinge(
            verts,
            across=across,
            lift=_Z,
            offset_m=reach * rng.uniform(0, 2 * reach_share),
            angle_deg=float(rng.normal(0, angle_deg)),
            width_m=0.006,
        )
    return verts


def _ball(verts: NDArray[np.float64], rng: np.random.Generator, span_m: float, *, tight: float) -> NDArray[np.float64]:
    """Fold a sheet over and over about planes round a shrinking ball; every fold keeps lengths."""
    rest = verts
    verts = _rolled(verts, rng, span_m, float(rng.uniform(60, 140)))
    verts = verts + _ruffle(rest, rng, 0.07, 0.008)
    verts = verts - verts.mean(axis=0)
    stretch = rng.uniform(0.75, 1.25, 3)
    radius = 0.5 * span_m
    final = 0.132 * span_m * tight
    folds = int(rng.integers(26, 40))
    for step in range(folds):
        radius = final + (0.5 * span_m - final) * (1 - (step + 1) / folds) ** 1.5
        normal = rng.normal(size=3) * stretch
        normal /= np.linalg.norm(normal)
        verts = fold_over(
            verts, normal=normal, offset_m=radius * rng.uniform(0.85, 1.1), fold=float(rng.uniform(1.55, 1.95))
        )
    return verts + _ruffle(rest, rng, 0.03, 0.004) + _ruffle(rest, rng, 0.013, 0.0015)


def _folded_newspaper(
    verts: NDArray[np.float64], rng: np.random.Generator, size_m: tuple[float, float]
) -> NDArray[np.float64]:
    verts = hinge(verts, across=_X, lift=_Z, offset_m=0.0, angle_deg=float(rng.uniform(170, 178)), width_m=0.009)
    verts = verts - verts.mean(axis=0)
    if rng.random() < 0.75:
        offset = rng.normal(0, 0.01)
        angle = float(rng.uniform(150, 176) if rng.random() < 0.7 else rng.uniform(30, 120))
        verts = hinge(verts, across=_Y, lift=-_Z, offset_m=offset, angle_deg=angle, width_m=0.022)
    return verts - verts.mean(axis=0)


def _prints(rng: np.random.Generator, form: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """Return front and back pictures and the roughness of the stock."""
    if form == "newspaper":
        kind = "newsprint"
    elif form == "flyer":
        kind = "flyer"
    elif form in ("letter", "sheet"):
        kind = str(rng.choice(["document", "document", "flyer"]))
    else:
        kind = str(rng.choice(["document", "newsprint", "flyer"], p=[0.5, 0.25, 0.25]))
    size = (800, 560) if form == "newspaper" else (480, 680)
    front = artwork.label(rng, kind, size)
    if form == "newspaper":
        front = np.hstack([artwork.label(rng, kind, (400, 560)), front[:, :400]])
        return front, np.hstack([artwork.label(rng, kind, (400, 560)) for _ in range(2)]), 0.85
    if kind == "flyer":
        return front, artwork.label(rng, "flyer", size), float(rng.uniform(0.3, 0.5))
    white = np.broadcast_to(front.reshape(-1, 3).max(axis=0), front.shape)
    if kind == "newsprint":
        return front, artwork.label(rng, kind, size), 0.85
    tint = np.ones(3)
    if rng.random() < 0.18:
        tint = np.array(
            [(1.0, 0.93, 0.55), (0.98, 0.72, 0.75), (0.7, 0.88, 0.97), (0.78, 0.92, 0.7)][int(rng.integers(4))]
        )
    if rng.random() < 0.25:
        front = white
    return (front * tint).astype(np.uint8), (white * tint).astype(np.uint8), 0.75
