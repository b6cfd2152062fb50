"""Metal cans standing along +Z: drinks cans, food tins, flat fish tins and spray cans."""

from __future__ import annotations

from typing import NamedTuple

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials, mesh
from sample_data.render.creases import creased_noise
from sample_data.render.items import can_parts, closures, wraps

Part = tuple[mesh.Surface, bpy.types.Material]


class _Can(NamedTuple):
    """An undented can: its surface, a material slot per face, and its size in metres."""

    name: str
    surface: mesh.Surface
    slot: NDArray[np.int64]
    slots: list[bpy.types.Material]
    height_m: float
    radius_m: float
    stretch_xy: tuple[float, float] = (1.0, 1.0)
    squareness: float = 2.0


_DRINKS_SIZES: tuple[tuple[float, float, float, float], ...] = (
    # radius, height, end radius (m), share
    (0.0331, 0.1150, 0.0270, 0.48),
    (0.0331, 0.1680, 0.0270, 0.27),
    (0.0265, 0.1340, 0.0236, 0.17),
    (0.0290, 0.1450, 0.0250, 0.08),
)


def _wall_uvs(surface: mesh.Surface, z_range_m: tuple[float, float]) -> tuple[mesh.Surface, NDArray[np.bool_]]:
    """Stretch ``v`` over a height range; also returns (F,) which faces lie within it."""
    verts, faces, uvs = surface
    face_z = verts[faces, 2]
    face_z = np.where(faces < 0, face_z[:, :1], face_z)
    low_m, high_m = z_range_m
    stretched = uvs.copy()
    stretched[..., 1] = (face_z - low_m) / (high_m - low_m)
    on_wall = (face_z.min(axis=1) > low_m - 1e-6) & (face_z.max(axis=1) < high_m + 1e-6)
    return (verts, faces, stretched), on_wall


def _with_extras(body: _Can, extras: list[Part]) -> _Can:
    """The can with small parts added, each with a material slot of its own."""
    merged, owner = mesh.merge([body.surface, *(surface for surface, _ in extras)])
    slot = owner + len(body.slots) - 1
    slot[: len(body.slot)] = body.slot
    return body._replace(surface=merged, slot=slot, slots=[*body.slots, *(material for _, material in extras)])


def _stomp(
    verts: NDArray[np.float64], rng: np.random.Generator, *, crush: float, height_m: float, radius_m: float
) -> NDArray[np.float64]:
    """Squash from above: the wall folds like a concertina, the ends stay whole but tilt."""
    low_m, high_m = 0.012, height_m - 0.014
    kept = 1.0 - crush * rng.uniform(0.5, 0.72)
    share = np.clip((verts[:, 2] - low_m) / (high_m - low_m), 0.0, 1.0)
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    folds = rng.uniform(1.6, 3.2)
    wobble = 0.16 * np.sin(2.0 * turn + rng.uniform(0.0, 6.0)) + 0.10 * np.sin(3.0 * turn + rng.uniform(0.0, 6.0))
    phase = folds * share + wobble * np.sin(np.pi * share)
    zigzag = np.abs(2.0 * (phase - np.floor(phase)) - 1.0)
    half_fold_m = 0.5 * (high_m - low_m) / folds
    depth_m = min(half_fold_m * np.sqrt(1.0 - kept * kept), 0.55 * radius_m)
    hinge = np.clip(share * 8.0, 0.0, 1.0) * np.clip((1.0 - share) * 8.0, 0.0, 1.0)
    lobes = 1.0 + 0.35 * np.cos(4.0 * turn + 7.0 * share + rng.uniform(0.0, 6.0))
    reach = np.hypot(verts[:, 0], verts[:, 1])
    pressed = np.maximum(reach - depth_m * (1.0 - zigzag) * hinge * lobes + 0.1 * depth_m * zigzag * hinge, 0.1 * reach)
    squashed = verts.copy()
    squashed[:, :2] *= np.where(reach > 1e-6, pressed / np.maximum(reach, 1e-6), 1.0)[:, None]
    squashed[:, 2] = verts[:, 2] - (1.0 - kept) * (high_m - low_m) * share
    return mesh.bend(
        squashed,
        angle_deg=rng.normal(0.0, 26.0) * crush,
        heading_deg=rng.uniform(0.0, 360.0),
        centre_z_m=low_m + 0.5 * kept * (high_m - low_m),
        length_m=0.8 * kept * (high_m - low_m),
    )


def _flatten(
    verts: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    crush: float,
    height_m: float,
    radius_m: float,
    stiff_ends: bool,
) -> NDArray[np.float64]:
    """Squash from the side: the wall goes flat, the ends fold over or turn oval."""
    height = verts[:, 2]
    edge_m = np.minimum(height, height_m - height)
    free = np.clip((edge_m - 0.004) / (0.8 * radius_m), 0.0, 1.0)
    free = free * free * (3.0 - 2.0 * free)
    end_share = rng.uniform(0.35, 0.8) if stiff_ends else rng.uniform(0.5, 0.9)
    amount = crush * rng.uniform(0.66, 0.84) * (end_share + (1.0 - end_share) * free)
    verts = mesh.crush_axis(verts, axis=1, spread_axis=0, amount=amount)
    verts[:, 1] += (
        crush * 0.08 * radius_m * free * creased_noise(verts * [1.0, 0.1, 1.0], rng, wavelength_m=1.0 * radius_m)
    )
    if stiff_ends:
        for centre_m, sign in ((0.55 * radius_m, -1.0), (height_m - 0.55 * radius_m, 1.0)):
            verts = mesh.bend(
                verts,
                angle_deg=crush * rng.uniform(15.0, 75.0) * float(rng.choice([-1.0, 1.0])),
                heading_deg=90.0 + sign * rng.normal(0.0, 8.0),
                centre_z_m=centre_m,
                length_m=0.7 * radius_m,
            )
    return mesh.bend(
        verts,
        angle_deg=crush * rng.normal(0.0, 18.0),
        heading_deg=90.0 + rng.normal(0.0, 20.0),
        centre_z_m=rng.uniform(0.35, 0.65) * height_m,
        length_m=0.3 * radius_m,
    )


def _creased(
    verts: NDArray[np.float64], rng: np.random.Generator, *, depth_m: float, height_m: float, spacing_m: float
) -> NDArray[np.float64]:
    """Crumple the wall like foil, leaving the ends alone."""
    edge_m = np.minimum(verts[:, 2], height_m - verts[:, 2])
    free = np.clip((edge_m - 0.010) / 0.012, 0.0, 1.0)
    reach_m = np.maximum(np.hypot(verts[:, 0], verts[:, 1]), 1e-6)
    height_of_crease = creased_noise(verts, rng, wavelength_m=1.6 * spacing_m)
    creased = verts.copy()
    creased[:, :2] *= (1.0 + depth_m * free * height_of_crease / reach_m)[:, None]
    return creased


def _battered(
    both: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    crush: float,
    height_m: float,
    radius_m: float,
    thin: bool,
) -> NDArray[np.float64]:
    """Dents for everybody; with more ``crush`` also a stomp, a flattening or a squeeze.

    ``both`` is (2V, 3): the vertices and then their guide points; returns the (V, 3) vertices.
    """
    turn = rng.uniform(0.0, 2.0 * np.pi)
    verts = np.column_stack(
        [
            both[:, 0] * np.cos(turn) - both[:, 1] * np.sin(turn),
            both[:, 0] * np.sin(turn) + both[:, 1] * np.cos(turn),
            both[:, 2],
        ]
    )
    give = crush if thin else 0.75 * crush
    margin_m = min(0.35 * radius_m, 0.3 * height_m)
    if thin and crush > 0.08:
        verts = _creased(verts, rng, depth_m=0.0017 * crush, height_m=height_m, spacing_m=0.45 * radius_m)
    squeezed = rng.random()
    deepest_m = radius_m * (0.06 + (0.55 if squeezed < 0.34 else 0.3) * give)
    verts, guide = np.split(verts, 2)
    verts = mesh.dents(
        verts,
        rng,
        count=int(rng.poisson(0.8)) if crush < 0.08 else round(3 + 8 * give),
        depth_range_m=(0.3 * deepest_m, deepest_m),
        z_range_m=(margin_m, height_m - margin_m),
        crease_length_range_m=(0.5 * radius_m, min(2.6 * radius_m, height_m)),
        fold=1.8,
        guide=guide,
        softness_m=0.0003 if thin else 0.0009,
    )
    if crush < 0.08:
        return verts
    if squeezed < 0.34 and thin:
        verts = mesh.twist(verts, angle_deg=rng.normal(0.0, 25.0) * give, from_z_m=margin_m, to_z_m=height_m - margin_m)
        return mesh.bend(
            verts,
            angle_deg=rng.normal(0.0, 40.0) * give,
            heading_deg=rng.uniform(0.0, 360.0),
            centre_z_m=rng.uniform(0.35, 0.65) * height_m,
            length_m=0.6 * radius_m,
        )
    if squeezed < 0.6 and thin:
        return _stomp(verts, rng, crush=give, height_m=height_m, radius_m=radius_m)
    return _flatten(verts, rng, crush=give, height_m=height_m, radius_m=radius_m, stiff_ends=thin)


def _drinks_can(rng: np.random.Generator, dirt: float) -> _Can:
    shares = np.array([size[3] for size in _DRINKS_SIZES])
    radius_m, height_m, end_m, _ = _DRINKS_SIZES[int(rng.choice(len(_DRINKS_SIZES), p=shares))]
    height_m *= rng.uniform(0.98, 1.02)
    profile, z_range_m = can_parts.drinks_can(radius_m, height_m, end_m, rows=72)
    surface, on_wall = _wall_uvs(mesh.lathe(profile, 84), z_range_m)
    width_px = 640
    tall_px = int(width_px * (z_range_m[1] - z_range_m[0]) / (2.0 * np.pi * radius_m))
    ink = materials.printed(
        artwork.label(rng, "can", (width_px, tall_px)),
        rng,
        roughness=rng.uniform(0.22, 0.38),
        metallic=rng.uniform(0.35, 0.8),
        base_colour=materials.METAL_COLOURS["aluminium"],
        dirt=dirt,
        wear=rng.uniform(0.0, 0.35),
        name="can_print",
    )
    bare = materials.metal(rng, kind="aluminium", roughness=rng.uniform(0.2, 0.34), dirt=dirt, name="aluminium")
    panel_m = height_m - 0.0040
    extras: list[Part] = []
    if rng.random() < 0.85:
        hole = can_parts.flat_oval((0.0155, 0.0205), (-0.0115, 0.0, panel_m + 0.0001), 0.0004)
        dark = materials.opaque_plastic(rng, colour=(0.012, 0.012, 0.012), roughness=0.5, dirt=0.0, name="inside")
        extras.append((hole, dark))
    if rng.random() < 0.88:
        tab = can_parts.pull_tab(panel_m, length_m=0.0245, width_m=0.0155, lift_deg=float(rng.choice([0.0, 3.0, 25.0])))
        extras.append((tab, bare))
    body = _Can("metal_can_drinks", surface, np.where(on_wall, 0, 1), [ink, bare], height_m, radius_m)
    return _with_extras(body, extras)


def _food_tin(rng: np.random.Generator, dirt: float, *, flat: bool) -> _Can:
    if flat:
        radius_m, height_m = rng.uniform(0.036, 0.050), rng.uniform(0.024, 0.042)
    else:
        radius_m, height_m = rng.uniform(0.0325, 0.0500), rng.uniform(0.075, 0.125)
    is_open = bool(rng.random() < 0.62)
    beads = 0 if flat else int(rng.integers(0, 8))
    profile, z_range_m, inside = can_parts.tin(
        radius_m,
        height_m,
        rows=18 if flat else 54,
        bead_count=max(beads, 1),
        bead_depth_m=rng.uniform(0.0006, 0.0014) if beads else 0.0,
        open_top=is_open,
    )
    segments = 72
    surface, on_wall = _wall_uvs(mesh.lathe(profile, segments), z_range_m)
    face_row = np.arange(len(surface[1])) // segments
    steel = materials.metal(
        rng,
        kind="gold_lacquer" if flat and rng.random() < 0.3 else "tinplate",
        roughness=rng.uniform(0.22, 0.4),
        rust=float(rng.choice([0.0, 0.0, 0.25, 0.6])) * rng.random(),
        dirt=dirt,
        name="tinplate",
    )
    lining = materials.metal(
        rng,
        kind=str(rng.choice(["gold_lacquer", "white_lacquer", "tinplate"])),
        roughness=0.3,
        dirt=min(1.0, dirt + 0.35),
        brushed=0.0,
        name="lining",
    )
    slot = np.where(face_row >= inside, 1, 0)
    slots = [steel, lining]
    extras: list[Part] = []
    width_px = 640
    tall_px = max(72, int(width_px * (z_range_m[1] - z_range_m[0]) / (2.0 * np.pi * radius_m)))
    dressing = rng.random()
    if dressing < 0.45:
        ink = materials.printed(
            artwork.label(rng, "can", (width_px, tall_px)),
            rng,
            roughness=0.3,
            metallic=rng.uniform(0.0, 0.5),
            base_colour=materials.METAL_COLOURS["tinplate"],
            dirt=dirt,
            wear=rng.uniform(0.0, 0.4),
            name="tin_print",
        )
        slot = np.where(on_wall & (face_row < inside), 2, slot)
        slots.append(ink)
    elif dressing < 0.82:
        label = wraps.wrap(
            lambda z_m: np.full_like(z_m, radius_m),
            rng,
            z_range_m=(z_range_m[0] + 0.001, z_range_m[1] - 0.001),
            start_deg=rng.uniform(0.0, 360.0),
            sweep_deg=364.0,
            tear=rng.uniform(0.3, 1.0) if rng.random() < 0.4 else 0.0,
            cells=(64, 12),
        )
        image = artwork.label(rng, "can", (width_px, tall_px))
        extras.append((label, materials.printed(image, rng, roughness=0.5, dirt=dirt, wear=0.25, name="paper_label")))
    if is_open and rng.random() < 0.45:
        extras.append((_hinged_lid(rng, radius_m, height_m), steel))
    elif not is_open and rng.random() < 0.5:
        tab = can_parts.pull_tab(height_m - 0.0030, length_m=0.026, width_m=0.019, lift_deg=4.0)
        tab = (tab[0] + [0.35 * radius_m, 0.0, 0.0], tab[1], tab[2])
        extras.append((tab, steel))
    name = "metal_can_flat" if flat else "metal_can_tin"
    can = _with_extras(_Can(name, surface, slot, slots, height_m, radius_m), extras)
    if flat and rng.random() < 0.55:
        stretch_xy = (0.88 * rng.uniform(1.35, 1.75), 0.81)
        can = can._replace(stretch_xy=stretch_xy, squareness=rng.uniform(3.0, 5.0))
    return can


def _shaped(verts: NDArray[np.float64], can: _Can) -> NDArray[np.float64]:
    """The round can squared and stretched to its real outline."""
    turn = np.arctan2(verts[:, 1], verts[:, 0])
    power = can.squareness
    square = (np.abs(np.cos(turn)) ** power + np.abs(np.sin(turn)) ** power) ** (-1.0 / power)
    return verts * np.column_stack([square, square, np.ones_like(square)]) * [*can.stretch_xy, 1.0]


def _hinged_lid(rng: np.random.Generator, radius_m: float, height_m: float) -> mesh.Surface:
    """A lid cut almost all the way round and folded up, its far edge wavy."""
    lid_m = radius_m - 0.0030
    profile = [
        (0.0, -0.0002), (0.55 * lid_m, -0.0002), (0.60 * lid_m, 0.0006), (0.84 * lid_m, 0.0006),
        (0.88 * lid_m, -0.0002), (lid_m, -0.0002), (lid_m, 0.0003), (0.88 * lid_m, 0.0003),
        (0.84 * lid_m, 0.0011), (0.60 * lid_m, 0.0011), (0.55 * lid_m, 0.0003), (0.0, 0.0003),
    ]  # fmt: skip
    verts, faces, uvs = mesh.lathe(profile, 48)
    verts[:, 2] += 0.0012 * mesh.smooth_noise(verts, rng, wavelength_m=0.6 * radius_m)
    verts[:, 2] += rng.uniform(0.0, 3.0) * verts[:, 0] ** 2
    open_rad = np.deg2rad(rng.uniform(35.0, 115.0))
    along = verts[:, 0] + lid_m
    verts = np.column_stack(
        [
            along * np.cos(open_rad) - verts[:, 2] * np.sin(open_rad) - lid_m,
            verts[:, 1],
            along * np.sin(open_rad) + verts[:, 2] * np.cos(open_rad) + height_m - 0.002,
        ]
    )
    return verts, faces, uvs


def _spray_can(rng: np.random.Generator, dirt: float) -> _Can:
    radius_m, height_m = rng.uniform(0.0225, 0.0330), rng.uniform(0.120, 0.190)
    profile, z_range_m = can_parts.spray_can(radius_m, height_m, rows=66)
    surface, on_wall = _wall_uvs(mesh.lathe(profile, 84), z_range_m)
    tall_px = int(512 * (z_range_m[1] - z_range_m[0]) / (2.0 * np.pi * radius_m))
    ink = materials.printed(
        artwork.label(rng, "can", (512, tall_px)), rng, roughness=0.25, metallic=0.3, dirt=dirt, name="spray_print"
    )
    bare = materials.metal(rng, kind="tinplate", dirt=dirt, rust=0.3 * dirt, name="tinplate")
    extras: list[Part] = []
    if rng.random() < 0.6:
        colour = tuple(float(x) for x in rng.choice([0.02, 0.2, 0.7], size=3))
        cap = closures.screw_cap(radius_m=0.0165, height_m=0.022, seat_z_m=height_m - 0.001, knurls=36)
        extras.append((cap, materials.opaque_plastic(rng, colour=colour, dirt=dirt, name="nozzle")))
    body = _Can("metal_can_spray", surface, np.where(on_wall, 0, 1), [ink, bare], height_m, radius_m)
    return _with_extras(body, extras)


def build_metal_can(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """A drinks can, food tin, flat fish tin or spray can, 3 to 19 cm tall.

    ``crush`` 0..1 runs from a small ding to stomped, wrung or flattened; steel gives less
    than aluminium.
    """
    dirt = float(np.clip(rng.beta(1.6, 3.2) + 0.2 * crush * rng.random(), 0.0, 0.9))
    sort = str(rng.choice(["drinks", "tin", "flat", "spray"], p=[0.55, 0.25, 0.12, 0.08]))
    if sort == "drinks":
        can = _drinks_can(rng, dirt)
    elif sort == "spray":
        can = _spray_can(rng, dirt)
    else:
        can = _food_tin(rng, dirt, flat=sort == "flat")
    verts, faces, uvs = can.surface
    guide = mesh.on_radius(verts, can.radius_m, 0.0025)
    verts = _battered(
        _shaped(np.concatenate([verts, guide]), can),
        rng,
        crush=crush * (0.5 if sort == "spray" else 1.0),
        height_m=can.height_m,
        radius_m=can.radius_m,
        thin=sort == "drinks",
    )
    return mesh.new_object(can.name, verts, faces, uvs, can.slots, can.slot, sharp_angle_deg=30.0)
