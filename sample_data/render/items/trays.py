"""Thermoformed plastic: food trays, punnets, clamshells, lids and yoghurt cups."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials
from sample_data.render.creases import creased_noise, fold_over, hinge
from sample_data.render.items.tray_shapes import TrayShape, moulded_skin, tray_shape
from sample_data.render.lofts import loft, rounded_outline, triangles
from sample_data.render.mesh import Surface, crush_axis, grid, merge, new_object, smooth_noise, solidify

_FORMS = ("meat", "punnet", "clamshell", "lid", "cup", "dish")
_SHARES = (0.28, 0.2, 0.12, 0.08, 0.17, 0.15)
_CLEAR_CHANCE = {"meat": 0.2, "punnet": 0.75, "clamshell": 0.95, "lid": 0.3, "cup": 0.0, "dish": 0.2}
_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True)
class _Part:
    surface: Surface
    thickness_m: float
    slot: int


def build_plastic_tray(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """Return one plastic tray, punnet, clamshell, lid or cup of 6-28 cm; ``crush`` 0 = intact .. 1 = badly bent."""
    form = str(rng.choice(_FORMS, p=_SHARES))
    shape = tray_shape(rng, form)
    clear = bool(rng.random() < _CLEAR_CHANCE[form])
    wall_m = float(rng.uniform(0.0005, 0.0009))
    side_cells = 11 if form == "clamshell" else 20
    body = moulded_skin(rng, shape, side_cells=side_cells)
    parts = [_Part(_cracked(body, rng, crush), wall_m, 0)]
    if form == "clamshell":
        parts.append(_Part(_lid_half(moulded_skin(rng, shape, side_cells=side_cells), shape, rng), wall_m, 0))
    if form == "cup" and rng.random() < 0.6:
        parts.append(_Part(_foil_lid(shape, rng), 0.00012, 1))
    film = form in ("meat", "dish", "punnet") and rng.random() < 0.5
    if film:
        parts.append(_Part(_film(shape, rng, whole=rng.random() < 0.25 * (1 - crush)), 0.00012, 1))
    if form != "cup" and rng.random() < 0.5:
        parts.append(_Part(_sticker(shape, rng, on_film=film), 0.00012, 2))
    parts = _damaged(parts, rng, shape, crush)
    solids = [solidify(triangles(part.surface), part.thickness_m) for part in parts]
    joined, owner = merge(solids)
    slots = np.array([part.slot for part in parts])[owner]
    if form == "cup":
        first = len(triangles(parts[0].surface)[1])
        outer = np.arange(first, 2 * first)
        mean_v = joined[2][outer, :3, 1].mean(axis=1)
        slots[outer[(mean_v > 0.12) & (mean_v < 0.9)]] = 3
    dirt = float(rng.uniform(0.03, 0.35) + 0.2 * crush * rng.random())
    slot_materials = _materials(rng, form, clear=clear, dirt=dirt)
    return new_object("plastic_tray", *joined, slot_materials, slots, sharp_angle_deg=48.0)


def _kept_faces(surface: Surface, keep: NDArray[np.bool_]) -> Surface:
    """The surface without some faces and without the vertices nobody uses then."""
    verts, faces, uvs = surface
    faces, uvs = faces[keep], uvs[keep]
    used = np.unique(faces[faces >= 0])
    number = np.full(len(verts), -1)
    number[used] = np.arange(len(used))
    return verts[used], np.where(faces < 0, -1, number[faces]), uvs


def _face_centres(surface: Surface) -> NDArray[np.float64]:
    return surface[0][np.where(surface[1] < 0, surface[1][:, :1], surface[1])].mean(axis=1)


def _cracked(surface: Surface, rng: np.random.Generator, crush: float) -> Surface:
    """Break a wedge out of the rim and wall of some crushed trays."""
    if rng.random() > 0.1 + 0.45 * crush:
        return surface
    centre = _face_centres(surface)
    angle = np.arctan2(centre[:, 1], centre[:, 0])
    low = centre[:, 2].min()
    down = centre[:, 2] / low
    jag = 0.06 * np.sin(down * 17 + rng.uniform(0, 6))
    off = np.abs((angle - rng.uniform(-np.pi, np.pi) + jag + np.pi) % (2 * np.pi) - np.pi)
    wedge = rng.uniform(0.05, 0.1 + 0.3 * crush) * np.clip(1.0 - down * rng.uniform(0.8, 1.6), 0.0, 1.0)
    return _kept_faces(surface, off > wedge)


def _lid_half(surface: Surface, shape: TrayShape, rng: np.random.Generator) -> Surface:
    edge = shape.half_x_m + shape.rim_m
    verts = surface[0] * [1.0, 1.0, 0.7] + [2 * edge, 0.0, 0.0]
    angle = rng.choice([rng.uniform(0, 60), rng.uniform(60, 130), rng.uniform(165, 177)])
    swung = hinge(verts, across=_X, lift=_Z, offset_m=edge - 0.001, angle_deg=float(angle), width_m=0.003)
    return swung, surface[1], surface[2]


def _disc(shape: TrayShape, height_m: float) -> Surface:
    outline = rounded_outline(
        shape.half_x_m + 0.8 * shape.rim_m,
        shape.half_y_m + 0.8 * shape.rim_m,
        shape.corner_m + 0.8 * shape.rim_m,
        side_cells=11,
        corner_cells=8,
    )
    scales = np.linspace(1.0, 0.06, 10)
    rings = np.stack([np.column_stack([outline * scale, np.full(len(outline), height_m)]) for scale in scales])
    surface = loft(rings, 1 - scales, end_centre=True)
    span = np.abs(outline).max(axis=0)
    planar = surface[0][np.where(surface[1] < 0, 0, surface[1]), :2] / (2 * span) + 0.5
    return surface[0], surface[1], planar


def _foil_lid(shape: TrayShape, rng: np.random.Generator) -> Surface:
    verts, faces, uvs = _disc(shape, 0.0007)
    verts = verts.copy()
    verts[:, 0] += (
        0.01 * np.exp(-(((np.arctan2(verts[:, 1], verts[:, 0])) / 0.25) ** 2)) * (verts[:, 0] > 0.8 * shape.half_x_m)
    )
    verts = hinge(
        verts,
        across=-_X,
        lift=_Z,
        offset_m=float(rng.uniform(-0.5, 0.6) * shape.half_x_m),
        angle_deg=float(rng.uniform(20, 165)),
        width_m=0.02,
    )
    verts[:, 2] += 0.0015 * creased_noise(verts, rng, wavelength_m=0.03)
    return verts, faces, uvs


def _film(shape: TrayShape, rng: np.random.Generator, *, whole: bool) -> Surface:
    """What is left of the sealing film: whole, or torn off along a ragged line and curled back."""
    surface = _disc(shape, 0.0006)
    verts = surface[0].copy()
    if not whole:
        heading = rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(heading), np.sin(heading), 0.0])
        centre = _face_centres(surface)
        ragged = smooth_noise(centre, rng, wavelength_m=0.03, octaves=3)
        cut = rng.uniform(-0.4, 0.6) * shape.half_y_m + 0.012 * ragged
        surface = _kept_faces(surface, centre @ across < cut)
        verts = surface[0].copy()
        verts = hinge(
            verts,
            across=across,
            lift=_Z,
            offset_m=float(cut.mean() - rng.uniform(0.01, 0.05)),
            angle_deg=float(rng.uniform(20, 160)),
            width_m=0.03,
        )
    verts[:, 2] += 0.0012 * smooth_noise(verts, rng, wavelength_m=0.05)
    return verts, surface[1], surface[2]


def _sticker(shape: TrayShape, rng: np.random.Generator, *, on_film: bool) -> Surface:
    """A price label, under the floor or, with a film, flat on what lies below it."""
    width = min(rng.uniform(0.04, 0.075), 1.1 * shape.half_y_m)
    verts, faces, uvs = grid((width, width * rng.uniform(0.55, 0.8)), (10, 8))
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    if on_film and rng.random() < 0.5:
        return verts @ spin + [0, 0, -shape.depth_m + 2.2 * shape.floor_rib_m + 0.0008], faces, uvs
    flipped = verts * [1, -1, -1]
    return flipped @ spin + [0, 0, -shape.depth_m - 0.0014], faces, uvs


def _damaged(parts: list[_Part], rng: np.random.Generator, shape: TrayShape, crush: float) -> list[_Part]:
    """Bend, press and crease all parts together."""
    counts = np.cumsum([len(part.surface[0]) for part in parts])[:-1]
    verts = np.concatenate([part.surface[0] for part in parts])
    size = 2 * shape.half_x_m
    verts = verts + np.array([0.0, 0.0, 0.5 * shape.depth_m])
    if crush > 0.15:
        mode = rng.choice(["fold", "squash", "splay", "twist"])
        if mode == "fold":
            heading = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.35)
            across = np.array([np.cos(heading), np.sin(heading), 0.0])
            verts = hinge(
                verts,
                across=across,
                lift=_Z * rng.choice([-1.0, 1.0, 1.0]),
                offset_m=float(rng.uniform(-0.25, 0.25) * size),
                angle_deg=float(crush * rng.uniform(30, 125)),
                width_m=float(rng.uniform(0.04, 0.15) * size),
            )
        elif mode == "squash":
            axis = int(rng.integers(2))
            verts = crush_axis(verts, axis=axis, spread_axis=1 - axis, amount=crush * rng.uniform(0.25, 0.6))
            verts[:, 2] += crush * 0.35 * shape.depth_m * np.cos(verts[:, axis] / size * rng.uniform(5, 12))
        elif mode == "splay":
            low = np.clip(0.5 - verts[:, 2] / shape.depth_m, 0, 1)
            verts[:, 2] *= 1 - 0.7 * crush
            verts[:, :2] *= (1 + 0.12 * crush * (1 - low))[:, None]
        warp = rng.normal(0, 0.9, 3) * crush / size
        verts[:, 2] += (
            warp[0] * verts[:, 0] * verts[:, 1] + 0.5 * warp[1] * verts[:, 0] ** 2 + 0.5 * warp[2] * verts[:, 1] ** 2
        )
    for _ in range(int(rng.integers(0, 2)) + round(3 * crush)):
        normal = rng.normal(size=3) * [1.0, 1.0, 0.4]
        normal /= np.linalg.norm(normal)
        reach = float((verts @ normal).max())
        depth = size * (rng.uniform(0.002, 0.01) + rng.uniform(0.0, 0.07) * crush)
        verts = fold_over(verts, normal=normal, offset_m=reach - depth, fold=float(rng.uniform(1.0, 1.5)))
    sway = smooth_noise(verts, rng, wavelength_m=0.7 * size)[:, None] * rng.normal(size=3)
    verts = verts + sway * size * (0.004 + 0.009 * crush)
    for axis in range(3):
        verts[:, axis] += (
            creased_noise(verts, rng, wavelength_m=0.35 * size, octaves=2) * size * (0.0006 + 0.009 * crush)
        )
    pieces = np.split(verts, counts)
    return [
        _Part((piece, part.surface[1], part.surface[2]), part.thickness_m, part.slot)
        for piece, part in zip(pieces, parts, strict=True)
    ]


def _materials(rng: np.random.Generator, form: str, *, clear: bool, dirt: float) -> list[bpy.types.Material]:
    """Wall, film or foil, sticker and cup print, in slot order."""
    if clear:
        tint = ((0.935, 0.95, 0.955), (0.89, 0.935, 0.965), (0.89, 0.945, 0.91), (0.95, 0.935, 0.90))[
            int(rng.integers(4))
        ]
        wall = materials.clear_plastic(
            rng, colour=tint, haze=float(rng.uniform(0.03, 0.14)), scratches=0.6, dirt=dirt, name="tray_clear"
        )
    else:
        colours = {
            "meat": [
                (0.012, 0.012, 0.013),
                (0.012, 0.012, 0.013),
                (0.75, 0.75, 0.74),
                (0.02, 0.11, 0.36),
                (0.5, 0.05, 0.03),
                (0.28, 0.38, 0.14),
            ],
            "dish": [(0.014, 0.014, 0.014), (0.75, 0.74, 0.7), (0.2, 0.1, 0.05), (0.6, 0.35, 0.06)],
            "lid": [(0.78, 0.78, 0.78), (0.75, 0.6, 0.05), (0.03, 0.15, 0.45), (0.55, 0.03, 0.03), (0.05, 0.3, 0.1)],
            "punnet": [(0.02, 0.12, 0.4), (0.03, 0.22, 0.06), (0.015, 0.015, 0.016), (0.72, 0.72, 0.7)],
            "clamshell": [(0.015, 0.015, 0.016), (0.75, 0.75, 0.73)],
            "cup": [(0.8, 0.8, 0.78), (0.8, 0.8, 0.78), (0.75, 0.72, 0.64)],
        }[form]
        colour = colours[int(rng.integers(len(colours)))]
        wall = materials.opaque_plastic(
            rng, colour=colour, roughness=float(rng.uniform(0.2, 0.42)), dirt=dirt, name="tray_wall"
        )
    if form == "cup":
        top = (
            materials.metal(rng, roughness=0.3, dirt=dirt, name="foil_lid")
            if rng.random() < 0.5
            else materials.printed(
                artwork.label(rng, "can", (960, 320))[:, 10:310], rng, roughness=0.3, dirt=dirt, name="foil_lid"
            )
        )
    elif rng.random() < 0.6:
        top = materials.clear_plastic(rng, haze=0.03, dirt=dirt, name="film")
    else:
        top = materials.printed(
            artwork.label(rng, "can", (960, 320))[:, 10:310], rng, roughness=0.25, dirt=dirt, name="film"
        )
    sticker = materials.printed(artwork.label(rng, "tray", (320, 220)), rng, roughness=0.5, dirt=dirt, name="sticker")
    slots = [wall, top, sticker]
    if form == "cup":
        art = artwork.label(rng, "bottle", (800, 300))
        slots.append(materials.printed(art, rng, roughness=0.3, dirt=dirt, name="cup_print"))
    return slots
