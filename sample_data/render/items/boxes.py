"""Cardboard boxes: shipping and shop boxes, closed, open, torn, crushed or folded flat."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import materials
from sample_data.render.creases import creased_noise, flatten_prism, fold_over, hinge
from sample_data.render.items.box_prints import BlankLayout, blank_print
from sample_data.render.lofts import weld
from sample_data.render.mesh import Surface, merge, new_object, smooth_noise, solidify

_LONGEST_M = 0.295
_KINDS = ("shipping", "white", "retail")


@dataclass(frozen=True)
class _Pose:
    """How the blank is folded: turns at the four upright edges and flap angles (0 = upright, 90 = shut)."""

    turns_deg: tuple[float, float, float, float]
    flap_deg: NDArray[np.float64]
    closed_tube: bool


def build_cardboard_box(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """Return one cardboard box of 8-26 cm, linked into the scene; ``crush`` 0 = intact .. 1 = flattened."""
    kind = str(rng.choice(_KINDS, p=[0.66, 0.13, 0.21]))
    layout = _layout(rng, kind)
    thickness_m = rng.uniform(0.0006, 0.001) if kind == "retail" else rng.uniform(0.0018, 0.0035)
    pose = _pose(rng, crush, kind)
    layout = _fitted_to(layout, pose, float(rng.uniform(0.19, 0.29)))
    blank = _flat_blank(rng, layout, pose.closed_tube, crush)
    verts = _folded(blank[0], layout, pose, thickness_m)
    verts = _damaged(verts, rng, layout, crush, pose)
    verts = verts * min(1.0, _LONGEST_M / float(np.ptp(verts, axis=0).max()))
    outer: Surface = (verts, blank[1], blank[2])
    solid = solidify(outer, thickness_m)
    slots = np.ones(len(solid[1]), dtype=np.int32)
    slots[: len(blank[1])] = 0
    dirt = float(rng.uniform(0.05, 0.4) + 0.25 * crush * rng.random())
    picture = blank_print(rng, layout, kind, wear=float(np.clip(rng.uniform(0.1, 0.5) + 0.5 * crush, 0, 1)))
    print_material = materials.printed(
        picture,
        rng,
        roughness=0.42 if kind == "retail" else 0.85,
        dirt=dirt,
        base_colour=(0.55, 0.5, 0.42) if kind == "retail" else (0.36, 0.25, 0.15),
        wear=0.15,
        name="box_print",
    )
    inner_tone = rng.uniform(0.8, 1.15)
    inner_colour = (0.40, 0.36, 0.31) if kind == "retail" else (0.40, 0.27, 0.155)
    inside = materials.fibre(rng, colour=tuple(inner_tone * c for c in inner_colour), dirt=dirt, name="box_inside")
    return new_object("cardboard_box", *solid, [print_material, inside], slots, sharp_angle_deg=28.0)


def _layout(rng: np.random.Generator, kind: str) -> BlankLayout:
    if kind == "retail":
        width = rng.uniform(0.07, 0.17)
        depth = width * rng.uniform(0.25, 0.75)
        height = width * rng.uniform(0.9, 1.7)
        flap = (depth, depth * 0.6, depth * 0.8, depth * 0.6)
    else:
        width = float(np.clip(rng.gamma(6.0, 0.026), 0.08, 0.26))
        depth = width * rng.uniform(0.45, 1.0)
        height = width * rng.uniform(0.3, 1.0)
        half = depth / 2
        flap = (half, half, half, half)
    if height > 0.24:
        height = 0.24
    return BlankLayout((width, depth, width, depth), height, flap)


def _fitted_to(layout: BlankLayout, pose: _Pose, longest_m: float) -> BlankLayout:
    """Return the layout scaled down, if need be, so that the folded piece is at most ``longest_m`` long."""
    opened = 2 * max(layout.flaps_m) if abs(pose.turns_deg[0] - 90) > 70 else 0.6 * max(layout.flaps_m)
    across = sum(layout.widths_m[: 2 if pose.closed_tube else 4])
    if abs(pose.turns_deg[0] - 90) < 70:
        across = max(layout.widths_m) + 1.2 * max(layout.flaps_m)
    scale = min(1.0, longest_m / max(across, layout.height_m + opened))
    return BlankLayout(
        tuple(scale * width for width in layout.widths_m),
        scale * layout.height_m,
        tuple(scale * flap for flap in layout.flaps_m),
    )


def _pose(rng: np.random.Generator, crush: float, kind: str) -> _Pose:
    flat_chance = 0.08 + 0.22 * crush
    draw = rng.random()
    flaps = np.zeros((2, 4))
    if draw < flat_chance * 0.5:
        lean = rng.uniform(2.0, 10.0)
        return _Pose((lean, 180 - lean, lean, 180 - lean), rng.normal(0, 12, (2, 4)), True)
    if draw < flat_chance:
        turns = rng.normal(0, 9, 4) + rng.choice([0, 0, 0, 35], 4)
        return _Pose(tuple(turns.tolist()), rng.normal(0, 16, (2, 4)), False)
    rack = rng.normal(0, 3 + 22 * crush)
    turns_deg = (90 + rack, 90 - rack, 90 + rack, 90 - rack)
    flaps[1] = [89.5, 93, 89.5, 93]
    opening = rng.random()
    if opening < 0.45:
        flaps[0] = [89.5, 93, 89.5, 93]
        if rng.random() < 0.4:
            flaps[0, int(rng.choice([0, 2]))] -= rng.uniform(5, 50)
    elif opening < 0.8:
        flaps[0] = rng.uniform(-125, 30, 4)
    else:
        flaps[0] = [*rng.uniform(-110, 60, 1), 93, *rng.uniform(-60, 89, 1), rng.uniform(0, 93)]
    if kind == "retail":
        flaps[1] = [89.5, 93, 88, 93]
        flaps[1, 2] = 93.5
        if opening < 0.5:
            flaps[0] = [89.5 - rng.choice([0, 0, 25]) * rng.random(), 92, 93.5, 92]
    return _Pose(turns_deg, flaps, True)


def _flat_blank(rng: np.random.Generator, layout: BlankLayout, closed_tube: bool, crush: float) -> Surface:
    """Return the flat blank: x = distance around, y = height above the lower fold line."""
    perimeter = sum(layout.widths_m)
    area = perimeter * (layout.height_m + 2 * max(layout.flaps_m))
    cell = np.sqrt(area / 4600)
    panels = []
    starts = np.concatenate([[0.0], np.cumsum(layout.widths_m)])
    rows = max(4, round(layout.height_m / cell))
    bottom, top = -max(layout.flaps_m), layout.height_m + max(layout.flaps_m)
    for wall, width in enumerate(layout.widths_m):
        columns = max(4, round(width / cell))
        s = np.linspace(starts[wall], starts[wall + 1], columns + 1)
        panels.append(
            _patch(np.broadcast_to(s, (rows + 1, columns + 1)), np.linspace(0, layout.height_m, rows + 1)[:, None])
        )
        for end in (0, 1):
            length = layout.flaps_m[wall] * rng.uniform(0.96, 1.0)
            flap_rows = max(3, round(length / cell))
            q = np.linspace(0, 1, flap_rows + 1)[:, None]
            reach = np.full(columns + 1, length)
            if end == 0 and rng.random() < 0.12 + 0.4 * crush:
                reach = reach * np.clip(
                    rng.uniform(0.3, 1.2)
                    + 0.4 * smooth_noise(np.column_stack([s, s * 0, s * 0]), rng, wavelength_m=0.03, octaves=3),
                    0.12,
                    1.0,
                )
            inset = np.minimum(q * 3, 1) * 0.02 * width
            middle = (starts[wall] + starts[wall + 1]) / 2
            slanted = middle + (s[None, :] - middle) * (1 - 2 * inset / width)
            height = layout.height_m + q * reach[None, :] if end == 0 else -q * reach[None, :]
            if end == 1:
                slanted, height = slanted[::-1], height[::-1]
            panels.append(_patch(slanted, height))
    surface, _ = merge(panels)
    verts, faces, _ = surface
    uv = (verts[:, :2] - [0.0, bottom]) / [perimeter, top - bottom]
    joined = verts.copy()
    if closed_tube:
        joined[joined[:, 0] > perimeter - 1e-6, 0] = 0.0
    joined[:, 2] = 0.0
    return weld((joined, faces, uv[faces]), 1e-5)


def _patch(x: NDArray[np.float64], y: NDArray[np.float64]) -> Surface:
    x, y = np.broadcast_arrays(x, y)
    rows, columns = x.shape
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).ravel()
    faces = np.column_stack([corner, corner + 1, corner + columns + 1, corner + columns])
    verts = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    return verts, faces, np.zeros((len(faces), 4, 2))


def _folded(flat: NDArray[np.float64], layout: BlankLayout, pose: _Pose, thickness_m: float) -> NDArray[np.float64]:
    """Return the blank's vertices folded into a box that stands upright around the origin."""
    starts = np.concatenate([[0.0], np.cumsum(layout.widths_m)])
    heading = np.deg2rad(np.concatenate([[0.0], np.cumsum(pose.turns_deg)[:3]]))
    along = np.column_stack([np.cos(heading), np.sin(heading)])
    corners = np.concatenate([[[0.0, 0.0]], np.cumsum(along * np.asarray(layout.widths_m)[:, None], axis=0)])
    wall = np.clip(np.searchsorted(starts, flat[:, 0], side="right") - 1, 0, 3)
    inward = np.column_stack([-along[:, 1], along[:, 0]])[wall]
    base = corners[wall] + along[wall] * (flat[:, 0] - starts[wall])[:, None]
    above = np.maximum(flat[:, 1] - layout.height_m, 0.0)
    below = np.maximum(-flat[:, 1], 0.0)
    shut = np.deg2rad(np.where(above > 0, pose.flap_deg[0][wall], pose.flap_deg[1][wall]))
    reach = above + below
    xy = base + inward * (np.sin(shut) * reach)[:, None]
    lift = np.cos(shut) * reach
    # Minor flaps lie one board below the major ones, as on a real box.
    tucked = (np.abs(pose.flap_deg[np.where(above > 0, 0, 1), wall]) > 91) * np.minimum(reach * 4, 1.2 * thickness_m)
    z = np.clip(flat[:, 1], 0, layout.height_m)
    z = z + np.where(above > 0, lift - tucked, 0.0) - np.where(below > 0, lift - tucked, 0.0)
    middle = corners[:4].mean(axis=0)
    return np.column_stack([xy - middle, z - layout.height_m / 2])


def _damaged(
    verts: NDArray[np.float64], rng: np.random.Generator, layout: BlankLayout, crush: float, pose: _Pose
) -> NDArray[np.float64]:
    size = float(max(layout.widths_m[0], layout.height_m))
    flat = not pose.closed_tube or abs(pose.turns_deg[0] - 90) > 70
    half = (layout.widths_m[0] / 2, layout.widths_m[1] / 2, layout.height_m / 2)
    if not flat and crush > 0.15:
        mode = rng.choice(["press", "press_side", "buckle", "corner"], p=[0.35, 0.25, 0.2, 0.2])
        bulge = (float(rng.choice([-1.0, 1.0, 1.0])), float(rng.choice([-1.0, 1.0])))
        amount = crush * rng.uniform(0.45, 0.9)
        if mode == "press":
            verts = flatten_prism(verts, axis=2, half_size_m=half, amount=amount, bulge=bulge, side_axis=0)
            verts = flatten_prism(verts, axis=2, half_size_m=half, amount=0.0, bulge=bulge, side_axis=1)
            verts[:, 1] += np.sign(verts[:, 1]) * 0.25 * half[2] * amount * (np.abs(verts[:, 1]) / half[1]) ** 3
        elif mode == "press_side":
            verts = flatten_prism(verts, axis=1, half_size_m=half, amount=amount, bulge=bulge, side_axis=0)
        elif mode == "buckle":
            height = verts[:, 2] / half[2]
            wave = np.maximum(0, 1 - np.abs(height - rng.uniform(-0.4, 0.4)) * 2.2)
            verts = verts * np.array([1, 1, 1 - 0.6 * amount])
            verts[:, :2] *= 1 + 0.25 * amount * (wave * rng.choice([-1.0, 1.0]))[:, None]
        lean = rng.normal(0, 0.25 * crush, 2)
        verts[:, :2] += verts[:, 2:3] * lean
    dings = int(rng.integers(1, 4)) + round(5 * crush)
    for _ in range(0 if flat else dings):
        corner = np.sign(rng.normal(size=3)) * rng.uniform(0.35, 1.0, 3)
        normal = corner / np.linalg.norm(corner)
        reach = float(np.max(verts @ normal))
        depth = size * (rng.uniform(0.005, 0.02) + rng.uniform(0.0, 0.13) * crush)
        verts = fold_over(verts, normal=normal, offset_m=reach - depth, fold=float(rng.uniform(1.0, 1.5)))
    swing = smooth_noise(verts, rng, wavelength_m=size * 0.8)[:, None] * rng.normal(size=3)
    verts = verts + swing * size * (0.008 + 0.03 * crush)
    for axis in range(3):
        creases = creased_noise(verts, rng, wavelength_m=size * 0.45, octaves=3)
        verts[:, axis] += creases * size * (0.002 + (0.006 if flat else 0.012) * crush)
    for _ in range(int(rng.integers(0, 2)) + round(2 * crush) if flat or crush > 0.5 else 0):
        verts = _kinked(verts, rng, float(rng.normal(0, 8 + 24 * crush)))
    return verts


def _kinked(verts: NDArray[np.float64], rng: np.random.Generator, angle_deg: float) -> NDArray[np.float64]:
    """Bend the whole piece about a straight line across its broad side."""
    centred = verts - verts.mean(axis=0)
    _, _, frame = np.linalg.svd(centred[::7], full_matrices=False)
    heading = rng.uniform(0, 2 * np.pi)
    across = np.cos(heading) * frame[0] + np.sin(heading) * frame[1]
    reach = float((centred @ across).max())
    offset = rng.uniform(0.05, 0.75) * reach
    return hinge(centred, across=across, lift=frame[2], offset_m=offset, angle_deg=angle_deg, width_m=0.12 * reach)
