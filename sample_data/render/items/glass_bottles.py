"""Glass bottles standing along +Z: beer, wine, juice and spirits, whole or broken."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from sample_data.render import artwork, materials, mesh
from sample_data.render.items import closures, wraps
from sample_data.render.items.bottle_profile import Outline, hollow, outer_wall, screw_neck

Range = tuple[float, float]


@dataclass(frozen=True)
class _Kind:
    """Ranges an individual of one kind of bottle is drawn from; lengths in metres."""

    name: str
    share: float
    height_m: Range
    width_m: Range
    neck_length_m: Range
    neck_radius_m: Range
    shoulder_length_m: Range
    shoulder_power: Range
    push_up_m: Range
    closure: str
    colours: tuple[str, ...]


_KINDS: tuple[_Kind, ...] = (
    _Kind(
        "longneck",
        0.30,
        (0.222, 0.262),
        (0.060, 0.068),
        (0.055, 0.075),
        (0.0140, 0.0155),
        (0.035, 0.055),
        (0.9, 1.25),
        (0.003, 0.007),
        "crown",
        ("brown", "brown", "green", "clear"),
    ),
    _Kind(
        "stubby",
        0.14,
        (0.165, 0.190),
        (0.062, 0.071),
        (0.020, 0.032),
        (0.0145, 0.0165),
        (0.035, 0.050),
        (0.9, 1.3),
        (0.003, 0.006),
        "crown",
        ("brown", "brown", "green"),
    ),
    _Kind(
        "bordeaux",
        0.18,
        (0.285, 0.315),
        (0.072, 0.078),
        (0.065, 0.085),
        (0.0145, 0.0160),
        (0.022, 0.034),
        (1.0, 1.4),
        (0.012, 0.030),
        "cork",
        ("dark_green", "green", "clear"),
    ),
    _Kind(
        "burgundy",
        0.10,
        (0.285, 0.305),
        (0.080, 0.088),
        (0.040, 0.055),
        (0.0150, 0.0165),
        (0.090, 0.115),
        (0.75, 0.95),
        (0.012, 0.030),
        "cork",
        ("dark_green", "green", "brown"),
    ),
    _Kind(
        "juice",
        0.16,
        (0.225, 0.285),
        (0.072, 0.090),
        (0.012, 0.030),
        (0.0180, 0.0215),
        (0.045, 0.075),
        (0.9, 1.4),
        (0.003, 0.008),
        "screw",
        ("clear", "clear", "green", "blue"),
    ),
    _Kind(
        "spirits",
        0.12,
        (0.180, 0.285),
        (0.070, 0.086),
        (0.025, 0.055),
        (0.0135, 0.0150),
        (0.014, 0.030),
        (1.2, 2.2),
        (0.003, 0.008),
        "screw",
        ("clear", "clear", "clear", "brown"),
    ),
)
_CAP_METALS = ("aluminium", "gold_lacquer", "tinplate", "white_lacquer")


def _beaded_neck(foot_m: float, length_m: float) -> list[tuple[float, float]]:
    """A neck that tapers from ``foot_m`` to a moulded lip for a crown cork."""
    lip_m = 0.0132
    throat_m = min(foot_m, 0.0128)
    return [
        (foot_m * 0.995, 0.10 * length_m),
        (foot_m * 0.97 + throat_m * 0.03, 0.30 * length_m),
        (0.55 * foot_m + 0.45 * throat_m, 0.60 * length_m),
        (throat_m, length_m - 0.0165),
        (throat_m + 0.0004, length_m - 0.0158),
        (lip_m + 0.0008, length_m - 0.0135),
        (lip_m + 0.0008, length_m - 0.0105),
        (lip_m - 0.0006, length_m - 0.0090),
        (lip_m - 0.0006, length_m - 0.0060),
        (lip_m + 0.0002, length_m - 0.0035),
        (lip_m - 0.0003, length_m - 0.0012),
        (lip_m - 0.0015, length_m),
    ]


def _ringed_neck(foot_m: float, length_m: float) -> list[tuple[float, float]]:
    """A wine neck: nearly straight, with one flat ring below the lip."""
    lip_m = 0.0137
    return [
        (0.98 * foot_m, 0.12 * length_m),
        (0.65 * foot_m + 0.35 * lip_m, 0.45 * length_m),
        (lip_m, length_m - 0.0140),
        (lip_m + 0.0015, length_m - 0.0130),
        (lip_m + 0.0017, length_m - 0.0070),
        (lip_m + 0.0003, length_m - 0.0060),
        (lip_m + 0.0002, length_m - 0.0012),
        (lip_m - 0.0010, length_m),
    ]


def _threaded_neck(foot_m: float, length_m: float) -> list[tuple[float, float]]:
    """A straight neck that ends in a screw thread."""
    thread_z_m = length_m - 0.0192
    thread = [(r, z + thread_z_m) for r, z in screw_neck(foot_m * 0.97, ring=False)]
    return [(foot_m, 0.35 * thread_z_m), *thread] if thread_z_m > 0.002 else thread


def _snapped(outer_rz: NDArray[np.float64], at_z_m: float) -> NDArray[np.float64]:
    """The outer wall up to the height where the bottle broke."""
    kept = outer_rz[outer_rz[:, 1] < at_z_m - 0.002]
    return np.vstack([kept, [np.interp(at_z_m, outer_rz[-20:, 1], outer_rz[-20:, 0]), at_z_m]])


def _jagged(
    verts: NDArray[np.float64], rng: np.random.Generator, *, rim_z_m: float, reach_m: float
) -> NDArray[np.float64]:
    """Pull the broken rim down by uneven amounts, so that it ends in shards."""
    turn = np.arctan2(verts[:, 1], verts[:, 0]) / (2.0 * np.pi) + 0.5
    drop_m = 0.9 * reach_m * wraps.ragged(turn, rng, pieces=int(rng.integers(6, 13)))
    near = np.clip((verts[:, 2] - rim_z_m + reach_m) / reach_m, 0.0, 1.0)
    broken = verts.copy()
    broken[:, 2] -= drop_m * near
    return broken


def _labels(
    rng: np.random.Generator, outline: Outline, dirt: float, *, flat_sided: bool
) -> list[tuple[mesh.Surface, bpy.types.Material]]:
    """Paper labels: a front, perhaps a back or a neck band; some torn, some gone."""
    found: list[tuple[mesh.Surface, bpy.types.Material]] = []
    if rng.random() < 0.12:
        return found
    body_m = outline.shoulder_z_m
    low_m = body_m * rng.uniform(0.14, 0.28)
    z_range_m = (low_m, body_m * rng.uniform(0.78, 0.96))
    sweep_deg = rng.uniform(95.0, 150.0) if flat_sided else rng.uniform(110.0, 210.0)
    front_deg = 90.0 if flat_sided else rng.uniform(0.0, 360.0)
    tall_m = z_range_m[1] - z_range_m[0]
    wide_m = outline.radius_m * np.deg2rad(sweep_deg)
    image = artwork.label(rng, "bottle", (384, int(np.clip(384 * tall_m / wide_m, 96, 768))))
    paper = materials.printed(image, rng, roughness=0.55, dirt=dirt, wear=0.35, name="paper_label")
    if rng.random() < 0.3 and not flat_sided:
        found.append(
            (
                wraps.oval_patch(
                    outline.envelope,
                    centre_z_m=0.5 * sum(z_range_m),
                    size_m=(wide_m, tall_m),
                    heading_deg=front_deg,
                    squareness=rng.uniform(2.0, 5.0),
                ),
                paper,
            )
        )
    else:
        tear = rng.uniform(0.4, 1.0) if rng.random() < 0.3 else 0.0
        for heading_deg in (front_deg, front_deg + 180.0)[: 1 + int(rng.random() < 0.4)]:
            found.append(
                (
                    wraps.wrap(
                        outline.envelope,
                        rng,
                        z_range_m=z_range_m,
                        start_deg=heading_deg - 0.5 * sweep_deg,
                        sweep_deg=sweep_deg,
                        tear=tear,
                        cells=(32, 10),
                    ),
                    paper,
                )
            )
    return found


def _closure(
    rng: np.random.Generator, kind: _Kind, lip_z_m: float, neck_radius_m: float, dirt: float
) -> list[tuple[mesh.Surface, bpy.types.Material]]:
    """The crown cork, screw cap or foil still on the bottle, if any."""
    metal_kind = _CAP_METALS[int(rng.integers(len(_CAP_METALS)))]
    painted = tuple(float(x) for x in rng.choice([0.02, 0.1, 0.35, 0.7], size=3))
    cover = (
        materials.metal(rng, kind=metal_kind, dirt=0.5 * dirt, rust=0.3 * dirt, name="cap_metal")
        if rng.random() < 0.5
        else materials.opaque_plastic(rng, colour=painted, roughness=0.25, dirt=0.5 * dirt, name="cap_paint")
    )
    if kind.closure == "crown" and rng.random() < 0.3:
        return [(closures.crown_cap(seat_z_m=lip_z_m, lip_radius_m=0.0134), cover)]
    if kind.closure == "screw" and rng.random() < 0.6:
        cap_m = rng.uniform(0.012, 0.020)
        cap = closures.screw_cap(
            radius_m=1.17 * neck_radius_m, height_m=cap_m, seat_z_m=lip_z_m + 0.001 - cap_m, knurls=36
        )
        return [(cap, cover)]
    if kind.closure == "cork" and rng.random() < 0.5:
        height_m = rng.uniform(0.025, 0.05)
        foil = closures.collar(
            radius_m=0.0160, z_m=lip_z_m - 0.5 * height_m + 0.0003, height_m=height_m, thickness_m=0.0022
        )
        return [(foil, cover)]
    return []


def build_glass_bottle(rng: np.random.Generator, *, crush: float) -> bpy.types.Object:
    """A bottle of brown, green, blue or clear glass with walls of about 3 mm, 16 to 32 cm tall.

    Glass does not bend: towards ``crush`` 1 more bottles have a snapped, jagged neck, and
    they are dirtier and lose their labels.
    """
    shares = np.array([kind.share for kind in _KINDS])
    kind = _KINDS[int(rng.choice(len(_KINDS), p=shares / shares.sum()))]
    height_m = rng.uniform(*kind.height_m)
    neck_m = rng.uniform(*kind.neck_length_m)
    neck_radius_m = rng.uniform(*kind.neck_radius_m)
    radius_m = 0.5 * rng.uniform(*kind.width_m)
    outline = Outline(
        radius_m=radius_m,
        neck_radius_m=neck_radius_m,
        shoulder_z_m=height_m - neck_m - rng.uniform(*kind.shoulder_length_m),
        neck_z_m=height_m - neck_m,
        heel_m=rng.uniform(0.006, 0.011),
        push_up_m=rng.uniform(*kind.push_up_m),
        shoulder_power=rng.uniform(*kind.shoulder_power),
        waist_m=radius_m * rng.uniform(0.03, 0.10) if kind.name == "juice" and rng.random() < 0.5 else 0.0,
        waist_z_m=0.35 * height_m,
        waist_length_m=0.5 * height_m,
    )
    make_neck = {"crown": _beaded_neck, "cork": _ringed_neck, "screw": _threaded_neck}[kind.closure]
    outer = outer_wall(outline, outline.envelope, make_neck(neck_radius_m, neck_m), body_rows=14, shoulder_rows=16)
    broken = rng.random() < (crush - 0.25) * 0.9
    rim_z_m = height_m
    if broken:
        rim_z_m = outline.neck_z_m + rng.uniform(-0.15, 0.6) * neck_m
        outer = _snapped(outer, rim_z_m)
    wall_m = rng.uniform(0.0028, 0.0038)
    thickness = np.full(len(outer), wall_m)
    thickness[outer[:, 1] > outline.neck_z_m] = min(wall_m, 0.0030)
    thickness[:4] = rng.uniform(0.005, 0.008)
    wall = mesh.lathe(hollow(outer, thickness), 72)

    dirt = float(np.clip(rng.beta(1.8, 3.2) + 0.3 * crush * rng.random(), 0.0, 0.9))
    colour = kind.colours[int(rng.integers(len(kind.colours)))]
    tone = np.asarray(materials.GLASS_COLOURS[colour]) ** rng.uniform(0.75, 1.25)
    body = materials.glass(
        rng,
        colour=(float(tone[0]), float(tone[1]), float(tone[2])),
        scratches=0.15 * rng.random(),
        dirt=dirt,
        name=f"glass_{colour}",
    )
    flat_sided = kind.name == "spirits" and rng.random() < 0.7
    parts = [(wall, body)]
    if rng.random() > 0.35 * crush:
        parts += _labels(rng, outline, dirt, flat_sided=flat_sided)
    if not broken:
        parts += _closure(rng, kind, height_m, neck_radius_m, dirt)

    (verts, faces, uvs), owner = mesh.merge([surface for surface, _ in parts])
    if flat_sided:
        below = np.clip((outline.neck_z_m - verts[:, 2]) / (0.8 * radius_m), 0.0, 1.0)
        below = below * below * (3.0 - 2.0 * below)
        verts[:, 1] *= 1.0 - rng.uniform(0.25, 0.45) * below
        verts[:, 0] *= 1.0 + 0.12 * below
    if broken:
        verts = _jagged(verts, rng, rim_z_m=rim_z_m, reach_m=rng.uniform(0.025, 0.05))
    return mesh.new_object(f"glass_bottle_{kind.name}", verts, faces, uvs, [m for _, m in parts], owner)
