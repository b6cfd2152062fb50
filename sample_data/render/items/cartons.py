"""Beverage cartons: gable-top and brick, with caps, ears, straws, squeezed and flattened."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials
from sample_data.render.creases import creased_noise, flatten_prism, fold_over
from sample_data.render.lofts import loft, rounded_outline
from sample_data.render.mesh import (
    Surface,
    bend,
    crush_axis,
    lathe,
    merge,
    new_object,
    smooth_noise,
    twist,
    vertex_normals,
)

_SIDE_CELLS = 14
_CORNER_CELLS = 4


@dataclass(frozen=True)
class _Body:
    half_x_m: float
    half_y_m: float
    height_m: float
    gable_m: float
    fin_m: float

    @property
    def total_m(self) -> float:
        return self.height_m + self.gable_m + self.fin_m


def build_beverage_carton(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """Return one gable-top or brick carton of 0.2-1 l, linked into the scene; ``crush`` 0 = intact .. 1 = flat."""
    gable = bool(rng.random() < 0.5)
    body = _gable_size(rng) if gable else _brick_size(rng)
    shell = _shell(body)
    parts: list[Surface] = [shell]
    slots = [0]
    if not gable:
        parts.append(_top_seam(body))
        parts += _ears(body, rng)
        slots += [0] * (len(parts) - 1)
    small = body.total_m < 0.14
    if not gable and small and rng.random() < 0.6:
        parts.append(_straw(body, rng))
        slots.append(2)
    bent, _ = merge(parts)
    verts = _damaged(bent[0], rng, body, crush)
    bent = (verts, bent[1], bent[2])
    owner_slots = np.repeat(slots, [len(part[1]) for part in parts])
    has_cap = rng.random() < (0.65 if not small else 0.0)
    if has_cap:
        cap = _cap(body, rng, gable=gable, verts=verts[: len(shell[0])], shell=shell)
        joined, _ = merge([bent, cap])
        owner_slots = np.concatenate([owner_slots, np.full(len(cap[1]), 1)])
    else:
        joined = bent
    dirt = float(rng.uniform(0.0, 0.3) + 0.3 * crush * rng.random())
    picture = _wrap_print(rng, body, crush, straw_hole=not gable and not has_cap)
    cap_colours = ((0.8, 0.8, 0.8), (0.02, 0.1, 0.4), (0.5, 0.02, 0.02), (0.02, 0.25, 0.06), (0.8, 0.4, 0.02))
    slots_used = [
        materials.printed(
            picture,
            rng,
            roughness=float(rng.uniform(0.22, 0.38)),
            dirt=dirt,
            wear=0.05 + 0.15 * crush,
            base_colour=(0.7, 0.68, 0.62),
            name="carton_print",
        ),
        materials.opaque_plastic(rng, colour=cap_colours[int(rng.integers(5))], dirt=0.5 * dirt, name="carton_cap"),
        materials.opaque_plastic(
            rng,
            colour=((0.8, 0.8, 0.78), (0.75, 0.08, 0.05), (0.85, 0.75, 0.1))[int(rng.integers(3))],
            dirt=dirt,
            name="straw",
        ),
    ]
    return new_object("beverage_carton", *joined, slots_used, owner_slots, sharp_angle_deg=32.0)


def _gable_size(rng: np.random.Generator) -> _Body:
    litres = float(rng.choice([0.25, 0.5, 1.0, 1.0]))
    half = 0.5 * {0.25: 0.057, 0.5: 0.07, 1.0: 0.072}[litres] * rng.uniform(0.97, 1.1)
    height = litres * 1e-3 / (4 * half**2) * rng.uniform(0.98, 1.05)
    return _Body(half, half, height, half * rng.uniform(0.75, 0.95), rng.uniform(0.012, 0.018))


def _brick_size(rng: np.random.Generator) -> _Body:
    litres = float(rng.choice([0.2, 0.25, 0.5, 1.0, 1.0]))
    slim = rng.uniform(0.0, 1.0)
    width = litres ** (1 / 3) * (0.084 + 0.012 * slim)
    depth = litres ** (1 / 3) * (0.068 - 0.012 * slim)
    if litres <= 0.25:
        width, depth = rng.uniform(0.046, 0.054), rng.uniform(0.036, 0.042)
    return _Body(width / 2, depth / 2, litres * 1.02e-3 / (width * depth), 0.0, 0.0)


def _shell(body: _Body) -> Surface:
    """The closed carton standing on z = 0; the print wraps round once, v = 1 at the very top."""
    radius = 0.0025
    outline = rounded_outline(body.half_x_m, body.half_y_m, radius, side_cells=_SIDE_CELLS, corner_cells=_CORNER_CELLS)
    rows = 34
    levels = np.linspace(0.0, body.height_m, rows + 1)
    rings = [_ring(outline * scale, 0.0) for scale in (0.25, 0.5, 0.75, 0.93)]
    v = [0.01] * 4
    rings += [_ring(outline * 0.985, 0.0), _ring(outline, 0.0015)]
    v += [0.01, 0.012]
    for level in levels[1:-1]:
        rings.append(_ring(outline, level))
        v.append(level / body.total_m)
    if body.gable_m > 0:
        steps = [*np.linspace(0.0, 1.0, 9), 1.0, 1.0, 1.0]
        lift = [*np.linspace(0.0, 1.0, 9) * body.gable_m, *(body.gable_m + body.fin_m * np.array([0.33, 0.66, 1.0]))]
        across = outline[:, 1] / body.half_y_m
        for step, rise in zip(steps, lift, strict=True):
            ring = outline.copy()
            ring[:, 1] = outline[:, 1] * (1 - step) + np.sign(across) * 0.0009 * step
            tuck = np.minimum(body.half_y_m, 0.9 * body.half_x_m) * (1 - np.abs(across)) * step
            ring[:, 0] -= np.sign(outline[:, 0]) * tuck * (np.abs(outline[:, 0]) > body.half_x_m - 1.01 * radius)
            rings.append(_ring(ring, body.height_m + rise))
            v.append((body.height_m + rise) / body.total_m)
    else:
        rings += [_ring(outline, body.height_m - 0.0015), _ring(outline * 0.985, body.height_m)]
        v += [0.985, 0.985]
        rings += [_ring(outline * scale, body.height_m) for scale in (0.93, 0.75, 0.5, 0.25)]
        v += [0.985] * 4
    return loft(np.stack(rings), np.asarray(v), start_centre=True, end_centre=True)


def _ring(outline: NDArray[np.float64], height_m: float) -> NDArray[np.float64]:
    return np.column_stack([outline, np.full(len(outline), height_m)])


def _slab(bottom: NDArray[np.float64], top: NDArray[np.float64], uv: tuple[float, float]) -> Surface:
    surface = loft(np.stack([bottom, top]), np.zeros(2), start_centre=True, end_centre=True)
    surface[2][...] = uv
    return surface


def _top_seam(body: _Body) -> Surface:
    """The welded strip across a brick's top, folded over to one side."""
    outline = rounded_outline(body.half_x_m * 0.995, 0.0045, 0.0008, side_cells=10, corner_cells=2)
    shift = np.array([0.0, 0.004])
    low, high = _ring(outline + shift, body.height_m), _ring(outline + shift, body.height_m + 0.0009)
    return _slab(low, high, (0.12, 0.97))


def _ears(body: _Body, rng: np.random.Generator) -> list[Surface]:
    """The two triangular folded corners glued to a brick's short sides, or standing off a little."""
    ears = []
    for side in (-1.0, 1.0):
        reach = body.half_y_m * 0.98
        stand_off = float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.9)]))
        corners = np.array([[-reach, 0.0], [reach, 0.0], [0.0, -reach]])
        out = np.array([0.0, 0.0, stand_off * reach])
        flat = np.column_stack(
            [
                side * (body.half_x_m + 0.0004 + out),
                corners[:, 0] * side,
                body.height_m - 0.001 + corners[:, 1] * (1 - 0.4 * stand_off),
            ]
        )
        thick = flat + np.array([side * 0.0009, 0.0, 0.0005])
        order = [0, 2, 1]
        ears.append(_slab(flat[order], thick[order], (0.37 if side > 0 else 0.87, 0.9)))
    return ears


def _straw(body: _Body, rng: np.random.Generator) -> Surface:
    """A straw lying slantwise on a broad side."""
    surface = lathe([(0.0, 0.0), (0.0019, 0.0), (0.0019, 0.05), (0.0019, 0.1), (0.0, 0.1)], 8)
    length = float(np.hypot(body.half_x_m, body.half_y_m) * rng.uniform(1.6, 2.0) + 0.02)
    lean = rng.uniform(0.25, 0.6)
    spine = surface[0][:, 2:] / 0.1 - 0.5
    verts = np.column_stack(
        [
            surface[0][:, 0] + spine[:, 0] * length * np.sin(lean),
            body.half_y_m + 0.0016 + surface[0][:, 1],
            body.height_m * 0.5 + spine[:, 0] * length * np.cos(lean),
        ]
    )
    return verts, surface[1], surface[2]


def _cap(body: _Body, rng: np.random.Generator, *, gable: bool, verts: NDArray[np.float64], shell: Surface) -> Surface:
    """A screw cap that sits on the (already bent) shell where its anchor point went."""
    radius, height = rng.uniform(0.011, 0.015), rng.uniform(0.008, 0.014)
    radius = min(radius, 0.75 * body.half_y_m)
    profile = [
        (radius * 1.2, -0.003),
        (radius * 1.2, 0.0015),
        (radius, 0.002),
        (radius, height - 0.0015),
        (radius - 0.0015, height),
        (0.0, height),
    ]
    surface = lathe(profile, 40)
    ribs = 1 + 0.035 * (np.arange(len(surface[0])) % 2) * (surface[0][:, 2] > 0.0018) * (
        surface[0][:, 2] < height - 0.001
    )
    local = surface[0] * np.column_stack([ribs, ribs, np.ones(len(ribs))])
    if gable:
        anchor = np.array([0.0, -0.5 * body.half_y_m, body.height_m + 0.5 * body.gable_m])
    else:
        anchor = np.array([body.half_x_m - 1.5 * radius, -0.25 * body.half_y_m, body.height_m])
    nearest = np.argsort(np.linalg.norm(shell[0] - anchor, axis=1))[:9]
    normal = vertex_normals(verts, shell[1])[nearest].mean(axis=0)
    normal /= np.linalg.norm(normal) + 1e-12
    tangent = np.cross(normal, [0.3, 0.8, 0.5])
    tangent /= np.linalg.norm(tangent)
    frame = np.stack([tangent, np.cross(normal, tangent), normal])
    return local @ frame + verts[nearest].mean(axis=0), surface[1], surface[2]


def _damaged(verts: NDArray[np.float64], rng: np.random.Generator, body: _Body, crush: float) -> NDArray[np.float64]:
    half = (body.half_x_m, body.half_y_m, body.total_m / 2)
    verts = verts - [0.0, 0.0, half[2]]
    size = body.total_m
    mode = rng.choice(["flat", "waist", "twist", "step"], p=[0.4, 0.25, 0.15, 0.2])
    z = verts[:, 2] / half[2]
    if crush > 0.1:
        amount = crush * rng.uniform(0.6, 0.93)
        bulge = (float(rng.choice([-1.0, 1.0])), float(rng.choice([-1.0, 1.0])))
        if mode == "flat":
            verts = flatten_prism(verts, axis=1, half_size_m=half, amount=amount, bulge=bulge, side_axis=0)
            lower = np.clip(0.35 - 0.9 * z, 0.0, 1.0) * rng.uniform(0, 0.4)
            verts[:, 1] *= 1 + lower / max(1 - amount, 0.2) * 0.6
        elif mode == "waist":
            pinch = np.exp(-(((z - rng.uniform(-0.3, 0.3)) / rng.uniform(0.3, 0.55)) ** 2))
            verts = crush_axis(verts, axis=1, spread_axis=0, amount=0.95 * amount * pinch)
        elif mode == "twist":
            verts = crush_axis(verts, axis=1, spread_axis=0, amount=0.6 * amount)
            verts = twist(verts, angle_deg=rng.normal(0, 50) * crush, from_z_m=-0.8 * half[2], to_z_m=0.8 * half[2])
        else:
            verts[:, 2] *= 1 - 0.45 * amount * np.clip(1 - np.abs(z - 0.1), 0, 1)
            zigzag = np.abs((verts[:, 2] / size * rng.uniform(4, 7)) % 1 - 0.5) - 0.25
            verts[:, :2] *= 1 + 0.55 * amount * zigzag[:, None]
            verts = crush_axis(verts, axis=1, spread_axis=0, amount=0.4 * amount)
        verts = bend(
            verts,
            angle_deg=rng.normal(0, 38) * crush,
            heading_deg=rng.choice([90.0, 270.0]) + rng.normal(0, 25),
            centre_z_m=rng.uniform(-0.4, 0.4) * half[2],
            length_m=0.2 * size,
        )
    for _ in range(1 + round(5 * crush)):
        normal = rng.normal(size=3) * [1.0, 1.0, 0.7]
        normal /= np.linalg.norm(normal)
        reach = float((verts @ normal).max())
        depth = size * (rng.uniform(0.002, 0.012) + rng.uniform(0.0, 0.09) * crush)
        verts = fold_over(verts, normal=normal, offset_m=reach - depth, fold=float(rng.uniform(1.0, 1.7)))
    swell = smooth_noise(verts, rng, wavelength_m=0.7 * size)[:, None] * rng.normal(size=3)
    verts = verts + swell * size * (0.006 + 0.014 * crush)
    for axis in (0, 1):
        creases = creased_noise(verts, rng, wavelength_m=0.4 * size, octaves=3)
        verts[:, axis] += creases * size * (0.0012 + 0.014 * crush)
    return verts


def _wrap_print(rng: np.random.Generator, body: _Body, crush: float, *, straw_hole: bool) -> NDArray[np.uint8]:
    """The print round the body, its folds rubbed pale, roof and fin in the ground colour."""
    art = artwork.label(rng, "carton", (1024, 640)).astype(np.float32)
    height, width = 700, 1024
    shoulder = max(40, int(height * (1 - body.height_m / body.total_m)))
    sheet = np.empty((height, width, 3), np.float32)
    sheet[shoulder:] = cv2.resize(art, (width, height - shoulder), interpolation=cv2.INTER_AREA)
    top = np.median(art[:20], axis=(0, 1))
    pale = np.array([235, 235, 230], np.float32)
    sheet[:shoulder] = top if rng.random() < 0.7 else 0.5 * (top + pale)
    if body.gable_m > 0:
        band = cv2.resize(art[60:260, : width // 4], (width // 5, shoulder // 2), interpolation=cv2.INTER_AREA)
        y = shoulder // 3
        for panel in (0, 2):
            x = panel * width // 4 + width // 40
            sheet[y : y + band.shape[0], x : x + band.shape[1]] = band
    else:
        sheet[:16] = pale * 0.9
    if straw_hole:
        cv2.circle(sheet, (width // 8, 12), 6, (190, 190, 195), -1)
    folds = np.zeros((height, width), np.float32)
    for quarter in range(5):
        x = quarter * width // 4
        folds[:, max(0, x - 3) : x + 3] = 1
    folds[shoulder - 3 : shoulder + 3] = 1
    patches = cv2.resize(rng.random((60, 80)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    rubbed = np.clip(cv2.GaussianBlur(folds, (0, 0), 2) * (patches - 0.45) * 2.5, 0, 1) * (0.25 + 0.6 * crush)
    for _ in range(int(14 * crush)):
        start = rng.uniform((0, 0), (width, height))
        end = start + rng.normal(0, 160, 2)
        line = np.zeros((height, width), np.uint8)
        cv2.line(
            line,
            tuple(start.astype(int).tolist()),
            tuple(end.astype(int).tolist()),
            255,
            int(rng.integers(1, 4)),
            cv2.LINE_AA,
        )
        rubbed = np.maximum(rubbed, line / 255.0 * np.clip(patches * 1.6 - 0.5, 0, 1) * 0.8)
    return np.clip(sheet * (1 - rubbed[..., None]) + pale * rubbed[..., None], 0, 255).astype(np.uint8)
