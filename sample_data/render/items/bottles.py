"""Plastic and glass bottles standing along +Z."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials, mesh
from sample_data.render.creases import creased_noise
from sample_data.render.items import closures, wraps
from sample_data.render.items.bottle_profile import (
    Outline,
    hollow,
    outer_wall,
    ribbed,
    screw_neck,
    stopped,
)
from sample_data.render.items.glass_bottles import build_glass_bottle

__all__ = ["build_glass_bottle", "build_plastic_bottle"]

Colour = materials.Colour
Part = tuple[mesh.Surface, bpy.types.Material]

_PET_SIZES: tuple[tuple[float, tuple[float, float], tuple[float, float], float], ...] = (
    # litres, height range (m), diameter range (m), share
    (0.33, (0.165, 0.190), (0.056, 0.061), 0.15),
    (0.5, (0.205, 0.240), (0.062, 0.068), 0.40),
    (1.0, (0.265, 0.295), (0.076, 0.084), 0.20),
    (1.5, (0.305, 0.340), (0.085, 0.093), 0.25),
)
_PET_TINTS: tuple[tuple[Colour, float], ...] = (
    ((0.93, 0.96, 0.96), 0.56),
    ((0.62, 0.84, 0.95), 0.18),
    ((0.30, 0.66, 0.30), 0.13),
    ((0.25, 0.52, 0.88), 0.07),
    ((0.62, 0.34, 0.10), 0.06),
)
_CAP_COLOURS: tuple[Colour, ...] = (
    (0.75, 0.03, 0.03),
    (0.03, 0.13, 0.55),
    (0.85, 0.85, 0.85),
    (0.02, 0.32, 0.10),
    (0.90, 0.62, 0.03),
    (0.02, 0.02, 0.02),
    (0.20, 0.55, 0.80),
    (0.85, 0.25, 0.03),
)
_HDPE_COLOURS: tuple[Colour, ...] = (
    (0.82, 0.82, 0.79),
    (0.82, 0.82, 0.79),
    (0.05, 0.20, 0.55),
    (0.85, 0.55, 0.04),
    (0.10, 0.45, 0.18),
    (0.75, 0.20, 0.35),
    (0.55, 0.10, 0.08),
)


def _pick(rng: np.random.Generator, weighted: tuple[tuple[Colour, float], ...]) -> Colour:
    share = np.array([weight for _, weight in weighted])
    return weighted[int(rng.choice(len(weighted), p=share / share.sum()))][0]


def _squared(verts: NDArray[np.float64], outline: Outline, exponent: float) -> NDArray[np.float64]:
    """Turn the round body into a rounded square of the same width, fading out to the neck."""
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    factor = (np.abs(np.cos(turn)) ** exponent + np.abs(np.sin(turn)) ** exponent) ** (-1.0 / exponent)
    body_m = outline.neck_z_m - outline.shoulder_z_m
    weight = np.clip((outline.neck_z_m - 0.2 * body_m - verts[:, 2]) / body_m, 0.0, 1.0)
    shaped = verts.copy()
    shaped[:, :2] *= (1.0 + weight * (0.92 * factor - 1.0))[:, None]
    return shaped


def _fluted(
    verts: NDArray[np.float64],
    *,
    count: int,
    depth: float,
    swirl_per_m: float,
    z_range_m: tuple[float, float],
) -> NDArray[np.float64]:
    """Press upright or swirling flutes into a stretch of the wall, ``depth`` of its radius."""
    low_m, high_m = z_range_m
    share = np.clip((verts[:, 2] - low_m) / (high_m - low_m), 0.0, 1.0)
    turn = np.arctan2(verts[:, 1], verts[:, 0]) + swirl_per_m * verts[:, 2]
    press = depth * np.sin(np.pi * share) * (0.5 + 0.5 * np.cos(count * turn))
    shaped = verts.copy()
    shaped[:, :2] *= (1.0 - press)[:, None]
    return shaped


def _footed(verts: NDArray[np.float64], outline: Outline) -> NDArray[np.float64]:
    """Press five feet into the base, as fizzy drinks need."""
    radius = np.hypot(verts[:, 0], verts[:, 1]) / outline.radius_m
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    valley = (0.5 + 0.5 * np.cos(5.0 * turn)) ** 2
    reach = np.clip(1.0 - verts[:, 2] / (0.9 * outline.radius_m), 0.0, 1.0) ** 2
    press = valley * reach * np.clip(radius * 1.4, 0.0, 1.0)
    shaped = verts.copy()
    shaped[:, 2] += 0.42 * outline.radius_m * press
    shaped[:, :2] *= (1.0 - 0.12 * press)[:, None]
    return shaped


def _turned(verts: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Turn a random way around Z, so that no side is special."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.column_stack([verts[:, :2] @ rotation, verts[:, 2]])


def _crumple(
    both: NDArray[np.float64], outline: Outline, rng: np.random.Generator, crush: float
) -> NDArray[np.float64]:
    """Buckle, flatten, twist and bend a thin plastic wall; neck and base resist.

    ``both`` is (2V, 3): the vertices and then their guide points; returns the (V, 3) vertices.
    """
    radius_m, neck_z_m = outline.radius_m, outline.neck_z_m
    verts = both
    verts = _turned(verts, rng)
    sag_m = 0.0006 + 0.0019 * crush
    smooth = 0.5 * mesh.smooth_noise(verts, rng, wavelength_m=1.1 * radius_m, octaves=2)
    fold = creased_noise(verts, rng, wavelength_m=1.5 * radius_m, octaves=1)
    stiff = np.clip(verts[:, 2] / (0.35 * radius_m), 0.0, 1.0) * np.clip(
        (neck_z_m - verts[:, 2]) / (0.8 * radius_m), 0.0, 1.0
    )
    out = verts[:, :2] / np.maximum(np.hypot(verts[:, 0], verts[:, 1]), 1e-6)[:, None]
    blend = crush * fold + (1.0 - crush) * smooth
    verts = verts.copy()
    verts[:, :2] += out * (sag_m * stiff * blend)[:, None]

    count = int(rng.poisson(0.4)) if crush < 0.08 else round(1 + 8 * crush)
    deepest_m = radius_m * (0.12 if crush < 0.08 else 0.2 + 0.35 * crush)
    verts, guide = np.split(verts, 2)
    verts = mesh.dents(
        verts,
        rng,
        count=count,
        depth_range_m=(0.3 * deepest_m, deepest_m),
        z_range_m=(0.5 * radius_m, outline.shoulder_z_m),
        crease_length_range_m=(1.0 * radius_m, 3.5 * radius_m),
        fold=1.75,
        guide=guide,
        softness_m=0.0012,
    )
    if crush < 0.08:
        return verts

    height = verts[:, 2]
    base = 0.45 + 0.55 * np.clip(height / (1.2 * radius_m), 0.0, 1.0)
    top = np.clip((neck_z_m - height) / (1.1 * radius_m), 0.0, 1.0)
    top = top * top * (3.0 - 2.0 * top)
    waver = 1.0 + 0.18 * np.sin(height / radius_m * rng.uniform(0.8, 1.8) + rng.uniform(0.0, 6.0))
    amount = np.clip(crush * rng.uniform(0.72, 0.92) * base * top * waver, 0.0, 0.88)
    verts = mesh.crush_axis(verts, axis=1, spread_axis=0, amount=amount)
    verts[:, 1] += (
        crush * 0.09 * radius_m * top * base * creased_noise(verts * [1.0, 0.2, 1.0], rng, wavelength_m=1.7 * radius_m)
    )
    verts = mesh.twist(verts, angle_deg=rng.normal(0.0, 28.0) * crush, from_z_m=0.3 * radius_m, to_z_m=neck_z_m)
    for _ in range(2):
        verts = mesh.bend(
            verts,
            angle_deg=rng.normal(0.0, 16.0) * crush,
            heading_deg=90.0 + rng.normal(0.0, 15.0),
            centre_z_m=rng.uniform(0.3, 0.95) * neck_z_m,
            length_m=rng.uniform(0.4, 1.2) * radius_m,
        )
    return verts


def _with_guide(parts: list[Part], outline: Outline) -> NDArray[np.float64]:
    """All vertices of the parts and then their guide points on the outline, (2V, 3)."""
    verts = mesh.merge([surface for surface, _ in parts])[0][0]
    return np.concatenate([verts, mesh.on_radius(verts, outline.envelope(verts[:, 2]), 0.003)])


def _assemble(
    name: str,
    parts: list[Part],
    verts: NDArray[np.float64],
) -> bpy.types.Object:
    """One object from parts with a material each, their vertices replaced by ``verts``."""
    (_, faces, uvs), owner = mesh.merge([surface for surface, _ in parts])
    slots = [material for _, material in parts]
    return mesh.new_object(name, verts, faces, uvs, slots, owner)


def build_plastic_bottle(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """A drinks bottle of clear PET or a household bottle of opaque HDPE, 60 to 110 mm wide.

    ``crush`` 0..1 runs from a few soft dents to flattened, folded and twisted.
    """
    if rng.random() < 0.2:
        return _household_bottle(rng, crush)
    shares = np.array([size[3] for size in _PET_SIZES])
    litres, height_range, width_range, _ = _PET_SIZES[int(rng.choice(len(_PET_SIZES), p=shares))]
    height_m = rng.uniform(*height_range)
    radius_m = 0.5 * rng.uniform(*width_range)
    style = str(rng.choice(["soda", "water", "square"], p=[0.42, 0.43, 0.15]))
    neck_z_m = height_m - 0.0192
    outline = Outline(
        radius_m=radius_m,
        neck_radius_m=0.0129,
        shoulder_z_m=neck_z_m - radius_m * rng.uniform(1.3, 2.4 if style == "soda" else 1.8),
        neck_z_m=neck_z_m,
        heel_m=radius_m * (0.55 if style == "soda" else rng.uniform(0.15, 0.3)),
        push_up_m=0.004 if style == "soda" else rng.uniform(0.004, 0.012),
        shoulder_power=rng.uniform(0.85, 1.5),
        waist_m=radius_m * rng.uniform(0.0, 0.16) if rng.random() < 0.6 else 0.0,
        waist_z_m=neck_z_m * rng.uniform(0.30, 0.42),
        waist_length_m=radius_m * rng.uniform(1.2, 2.2),
    )
    body_m = outline.shoulder_z_m
    label_low_m = body_m * rng.uniform(0.45, 0.58)
    label_range = (label_low_m, min(label_low_m + body_m * rng.uniform(0.25, 0.42), 0.98 * body_m))
    if rng.random() < 0.12:
        label_range = (outline.heel_m + 0.01, body_m + 0.25 * radius_m)
    bands: list[tuple[float, float, int, float]] = []
    if style != "soda" or rng.random() < 0.25:
        pitch_m = rng.uniform(0.009, 0.016)
        low_m = outline.heel_m + 0.004
        bands.append((low_m, label_low_m, max(1, round((label_low_m - low_m) / pitch_m)), rng.uniform(0.0006, 0.0022)))
    if style == "water" and label_range[1] < 0.9 * body_m:
        bands.append((label_range[1], body_m, 1 + int(rng.integers(2)), rng.uniform(0.001, 0.002)))
    radius_at = ribbed(outline.envelope, bands)

    outer = outer_wall(outline, radius_at, screw_neck(0.0129, ring=True), body_rows=34, shoulder_rows=10)
    thickness = np.full(len(outer), rng.uniform(0.0006, 0.0009))
    thickness[outer[:, 1] > neck_z_m - 0.002] = 0.0016
    wall = mesh.lathe(hollow(outer, thickness), 64)
    tint = _pick(rng, _PET_TINTS)
    dirt = float(np.clip(rng.beta(1.8, 3.0) + 0.15 * crush, 0.0, 0.9))
    pet = materials.clear_plastic(
        rng,
        colour=tint,
        haze=rng.uniform(0.01, 0.08) + 0.05 * crush,
        scratches=rng.uniform(0.2, 0.8),
        dirt=dirt,
        name="pet",
    )
    parts = [(wall, pet)]
    if rng.random() < 0.84:
        torn = rng.random() < 0.2 + 0.3 * crush
        label = wraps.wrap(
            outline.envelope,
            rng,
            z_range_m=label_range,
            start_deg=rng.uniform(0.0, 360.0),
            sweep_deg=366.0,
            tear=rng.uniform(0.3, 1.0) if torn else 0.0,
            cells=(60, 10),
        )
        parts.append((label, _label_print(rng, radius_m, label_range, dirt, roughness=0.3)))
    cap_colour = _CAP_COLOURS[int(rng.integers(len(_CAP_COLOURS)))]
    plastic = materials.opaque_plastic(rng, colour=cap_colour, roughness=0.32, dirt=0.6 * dirt, name="cap")
    if rng.random() < 0.72:
        cap_m = rng.uniform(0.0105, 0.0165)
        seat_m = neck_z_m + 0.0202 - cap_m
        cap = closures.screw_cap(radius_m=0.0151, height_m=cap_m, seat_z_m=seat_m, knurls=36)
        parts.append((cap, plastic))
    elif rng.random() < 0.7:
        ring = closures.collar(radius_m=0.0148, z_m=neck_z_m + 0.0075, height_m=0.003, thickness_m=0.0012)
        parts.append((ring, plastic))

    verts = _with_guide(parts, outline)
    if style == "soda":
        verts = _footed(verts, outline)
    elif style == "square":
        verts = _squared(verts, outline, rng.uniform(3.5, 6.0))
    if rng.random() < 0.45:
        verts = _fluted(
            verts,
            count=int(rng.integers(6, 16)),
            depth=rng.uniform(0.02, 0.06),
            swirl_per_m=rng.normal(0.0, 12.0),
            z_range_m=(outline.heel_m, label_low_m) if rng.random() < 0.5 else (label_range[1], neck_z_m),
        )
    return _assemble(f"plastic_bottle_{litres}l", parts, _crumple(verts, outline, rng, crush))


def _label_print(
    rng: np.random.Generator,
    radius_m: float,
    z_range_m: tuple[float, float],
    dirt: float,
    *,
    roughness: float,
    turn_deg: float = 360.0,
) -> bpy.types.Material:
    """A printed material whose artwork has the label's real proportions."""
    width_m = 2.0 * np.pi * radius_m * turn_deg / 360.0
    height_px = max(64, int(512 * (z_range_m[1] - z_range_m[0]) / width_m))
    image = artwork.label(rng, "bottle", (512, min(height_px, 768)))
    return materials.printed(image, rng, roughness=roughness, dirt=dirt, wear=0.15, name="label")


def _household_bottle(rng: np.random.Generator, crush: float) -> bpy.types.Object:
    """A shampoo, detergent or milk bottle of opaque plastic, often oval."""
    height_m = rng.uniform(0.17, 0.27)
    radius_m = height_m * rng.uniform(0.14, 0.19)
    neck_radius_m = rng.uniform(0.011, 0.018)
    neck_z_m = height_m - 0.0192
    outline = Outline(
        radius_m=radius_m,
        neck_radius_m=neck_radius_m,
        shoulder_z_m=neck_z_m - radius_m * rng.uniform(0.5, 1.3),
        neck_z_m=neck_z_m,
        heel_m=radius_m * rng.uniform(0.15, 0.35),
        push_up_m=0.003,
        shoulder_power=rng.uniform(1.0, 2.0),
        waist_m=radius_m * rng.uniform(0.0, 0.18),
        waist_z_m=height_m * rng.uniform(0.3, 0.6),
        waist_length_m=height_m * 0.6,
    )
    neck = screw_neck(neck_radius_m, ring=False)
    outer = outer_wall(outline, outline.envelope, neck, body_rows=30, shoulder_rows=16)
    wall = mesh.lathe(stopped(outer, well_m=0.03, wall_m=0.0015), 72)
    colour = _HDPE_COLOURS[int(rng.integers(len(_HDPE_COLOURS)))]
    dirt = float(np.clip(rng.beta(1.8, 3.0) + 0.1 * crush, 0.0, 0.9))
    body = materials.opaque_plastic(
        rng, colour=colour, roughness=rng.uniform(0.25, 0.5), milkiness=0.25, dirt=dirt, name="hdpe"
    )
    parts = [(wall, body)]
    z_range_m = (0.16 * outline.shoulder_z_m, 0.88 * outline.shoulder_z_m)
    if rng.random() < 0.9:
        sticker = _label_print(rng, radius_m, z_range_m, dirt, roughness=0.3, turn_deg=130.0)
        for heading_deg in (90.0, 270.0):
            patch = wraps.oval_patch(
                outline.envelope,
                centre_z_m=0.5 * sum(z_range_m),
                size_m=(2.0 * radius_m, z_range_m[1] - z_range_m[0]),
                heading_deg=heading_deg,
                squareness=rng.uniform(3.0, 9.0),
                lift_m=0.0005,
            )
            parts.append((patch, sticker))
    if rng.random() < 0.75:
        cap_m = rng.uniform(0.017, 0.034)
        seat_m = neck_z_m + max(0.0205 - cap_m, 0.002)
        cap = closures.screw_cap(
            radius_m=neck_radius_m * rng.uniform(1.15, 1.45), height_m=cap_m, seat_z_m=seat_m, knurls=36
        )
        cap_colour = colour if rng.random() < 0.3 else _CAP_COLOURS[int(rng.integers(len(_CAP_COLOURS)))]
        parts.append((cap, materials.opaque_plastic(rng, colour=cap_colour, dirt=0.6 * dirt, name="cap")))
    verts = _with_guide(parts, outline)
    flat = np.clip((neck_z_m - verts[:, 2]) / radius_m, 0.0, 1.0)
    oval = rng.uniform(0.6, 0.75) if rng.random() < 0.65 else 1.0
    verts[:, 1] *= 1.0 - (1.0 - oval) * flat
    verts[:, 0] *= 1.0 + (1.0 - oval) * 0.35 * flat
    return _assemble("plastic_bottle_household", parts, _crumple(verts, outline, rng, 0.75 * crush))
