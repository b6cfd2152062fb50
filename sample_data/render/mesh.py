"""Surfaces as plain arrays, the ways they get bent, and their hand-over to Blender.

A surface is the triple ``(verts, faces, uvs)``: ``verts`` is (V, 3) in metres, ``faces``
is (F, 4) vertex indices counter-clockwise seen from outside (a triangle ends in -1), and
``uvs`` is (F, 4, 2), one coordinate per face corner.  Every deformation takes (V, 3)
vertices and returns new (V, 3) vertices, so an inner and an outer wall that are deformed
together stay parallel.
"""

from __future__ import annotations

from collections.abc import Sequence

import bmesh
import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

Surface = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]

_POLE_RADIUS_M = 1e-6
_LATTICE_SIZE = 256


def lathe(profile_rz: ArrayLike, segments: int) -> Surface:
    """Turn a profile around +Z.

    ``profile_rz`` is (K, 2) radius and height in metres; read upwards it faces away from
    the axis, read downwards it faces the axis, so an outer wall followed by its inner wall
    gives a closed solid.  A first or last radius of 0 becomes a pole; a profile that ends
    where it began becomes a ring.  ``u`` is the fraction of the turn and ``v`` the fraction
    of the profile's length.
    """
    profile = np.asarray(profile_rz, dtype=np.float64)
    angle_rad = np.arange(segments) * (2.0 * np.pi / segments)
    ring_xy = np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=1)
    length_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    v_coord = length_m / length_m[-1]

    verts: list[NDArray[np.float64]] = []
    rows: list[NDArray[np.int64]] = []
    count = 0
    is_ring = profile[0, 0] > _POLE_RADIUS_M and np.allclose(profile[0], profile[-1])
    for radius_m, height_m in profile[: len(profile) - int(is_ring)]:
        if radius_m < _POLE_RADIUS_M:
            verts.append(np.array([[0.0, 0.0, height_m]]))
            rows.append(np.full(segments, count, dtype=np.int64))
            count += 1
        else:
            ring = np.column_stack([ring_xy * radius_m, np.full(segments, height_m)])
            verts.append(ring)
            rows.append(np.arange(count, count + segments, dtype=np.int64))
            count += segments
    if is_ring:
        rows.append(rows[0])

    u_left = np.arange(segments) / segments
    u_right = u_left + 1.0 / segments
    faces: list[NDArray[np.int64]] = []
    uvs: list[NDArray[np.float64]] = []
    for index in range(len(profile) - 1):
        low, high = rows[index], rows[index + 1]
        v_low = np.full(segments, v_coord[index])
        v_high = np.full(segments, v_coord[index + 1])
        corners = [low, np.roll(low, -1), np.roll(high, -1), high]
        coords = [(u_left, v_low), (u_right, v_low), (u_right, v_high), (u_left, v_high)]
        if low[0] == low[-1]:
            order = [0, 2, 3]
        elif high[0] == high[-1]:
            order = [0, 1, 2]
        else:
            order = [0, 1, 2, 3]
        face = np.full((segments, 4), -1, dtype=np.int64)
        face_uv = np.zeros((segments, 4, 2))
        for slot, corner in enumerate(order):
            face[:, slot] = corners[corner]
            face_uv[:, slot] = np.column_stack(coords[corner])
        faces.append(face)
        uvs.append(face_uv)
    return np.concatenate(verts), np.concatenate(faces), np.concatenate(uvs)


def grid(size_xy_m: tuple[float, float], cells_xy: tuple[int, int]) -> Surface:
    """A flat sheet centred on the origin in the XY plane, facing +Z, UV 0..1 over it."""
    nx, ny = cells_xy
    across, along = np.meshgrid(np.linspace(0.0, 1.0, nx + 1), np.linspace(0.0, 1.0, ny + 1))
    uv = np.column_stack([across.ravel(), along.ravel()])
    verts = np.column_stack([(uv - 0.5) * np.asarray(size_xy_m), np.zeros(len(uv))])
    corner = (np.arange(ny)[:, None] * (nx + 1) + np.arange(nx)[None, :]).ravel()
    faces = np.column_stack([corner, corner + 1, corner + nx + 2, corner + nx + 1])
    return verts, faces, uv[faces]


def solidify(surface: Surface, thickness_m: float) -> Surface:
    """A closed solid from an open sheet: the sheet, its copy pushed inwards, and rim walls.

    Faces come in the order: front (as given), back, rim; the back keeps the front's UVs.
    """
    verts, faces, uvs = surface
    count = len(verts)
    back = verts - vertex_normals(verts, faces) * thickness_m
    corner_count = np.where(faces[:, 3] < 0, 3, 4)
    back_faces = np.full_like(faces, -1)
    back_uvs = np.zeros_like(uvs)
    for sides in (3, 4):
        rows = corner_count == sides
        back_faces[rows, :sides] = faces[rows, :sides][:, ::-1] + count
        back_uvs[rows, :sides] = uvs[rows, :sides][:, ::-1]

    start, end, uv_start, uv_end = [], [], [], []
    for slot in range(4):
        rows = slot < corner_count
        follower = (slot + 1) % corner_count[rows]
        index = np.flatnonzero(rows)
        start.append(faces[index, slot])
        end.append(faces[index, follower])
        uv_start.append(uvs[index, slot])
        uv_end.append(uvs[index, follower])
    edge_from, edge_to = np.concatenate(start), np.concatenate(end)
    key = edge_from * count + edge_to
    open_edge = ~np.isin(key, edge_to * count + edge_from)
    low, high = edge_from[open_edge], edge_to[open_edge]
    uv_low, uv_high = np.concatenate(uv_start)[open_edge], np.concatenate(uv_end)[open_edge]
    rim_faces = np.column_stack([high, low, low + count, high + count])
    rim_uvs = np.stack([uv_high, uv_low, uv_low, uv_high], axis=1)
    return (
        np.concatenate([verts, back]),
        np.concatenate([faces, back_faces, rim_faces]),
        np.concatenate([uvs, back_uvs, rim_uvs]),
    )


def merge(surfaces: Sequence[Surface]) -> tuple[Surface, NDArray[np.int64]]:
    """Put surfaces into one; also returns (F,) which input each face came from."""
    offsets = np.cumsum([0] + [len(surface[0]) for surface in surfaces])
    faces = [
        np.where(surface[1] < 0, -1, surface[1] + offset) for surface, offset in zip(surfaces, offsets, strict=False)
    ]
    merged = (
        np.concatenate([surface[0] for surface in surfaces]),
        np.concatenate(faces),
        np.concatenate([surface[2] for surface in surfaces]),
    )
    owner = np.repeat(np.arange(len(surfaces)), [len(surface[1]) for surface in surfaces])
    return merged, owner


def vertex_normals(verts: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Area-weighted unit normals, (V, 3); zero for a vertex without a face."""
    last = np.where(faces[:, 3] < 0, faces[:, 0], faces[:, 3])
    face_normal = np.cross(verts[faces[:, 2]] - verts[faces[:, 0]], verts[last] - verts[faces[:, 1]])
    normals = np.zeros_like(verts)
    for slot in range(4):
        rows = faces[:, slot] >= 0
        np.add.at(normals, faces[rows, slot], face_normal[rows])
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.where(size > 0.0, size, 1.0)


def smooth_noise(
    points: NDArray[np.float64], rng: np.random.Generator, *, wavelength_m: float, octaves: int = 1
) -> NDArray[np.float64]:
    """Gradient noise at (N, 3) points: (N,) values of mean 0, mostly within -1..1."""
    total = np.zeros(len(points))
    for octave in range(octaves):
        table = rng.permutation(_LATTICE_SIZE)
        gradient = rng.normal(size=(_LATTICE_SIZE, 3))
        gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
        scaled = points * (2.0**octave / wavelength_m) + rng.uniform(0.0, 100.0, size=3)
        cell = np.floor(scaled).astype(np.int64)
        within = scaled - cell
        fade = within**3 * (within * (within * 6.0 - 15.0) + 10.0)
        value = np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            step = np.asarray(corner)
            node = (cell + step) % _LATTICE_SIZE
            picked = table[node[:, 0]]
            picked = table[(picked + node[:, 1]) % _LATTICE_SIZE]
            picked = table[(picked + node[:, 2]) % _LATTICE_SIZE]
            weight = np.prod(np.where(step == 1, fade, 1.0 - fade), axis=1)
            value += weight * np.einsum("ij,ij->i", gradient[picked], within - step)
        total += value * 1.6 / 2.0**octave
    return total


def crush_axis(
    verts: NDArray[np.float64],
    *,
    axis: int,
    spread_axis: int,
    amount: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Squeeze along one axis and spread along another so that the girth stays the same.

    ``amount`` 0..1 (1 = quite flat) is one number or (V,), one per vertex.
    """
    squeezed = verts.copy()
    squeezed[:, axis] *= 1.0 - np.asarray(amount)
    squeezed[:, spread_axis] *= 1.0 + 0.5 * np.asarray(amount)
    return squeezed


def bend(
    verts: NDArray[np.float64],
    *,
    angle_deg: float,
    heading_deg: float,
    centre_z_m: float,
    length_m: float,
) -> NDArray[np.float64]:
    """Bend around the middle of a stretch of the Z axis.

    All of ``angle_deg`` is turned within ``length_m`` around ``centre_z_m`` (short = a
    kink); the top leans towards ``heading_deg`` in the XY plane.
    """
    z = verts[:, 2]
    reach_m = max(float(np.ptp(z)), length_m)
    line_z = np.linspace(z.min() - reach_m * 0.01, z.max() + reach_m * 0.01, 400)
    ramp = np.clip((line_z - centre_z_m) / length_m + 0.5, 0.0, 1.0)
    lean = np.deg2rad(angle_deg) * (ramp * ramp * (3.0 - 2.0 * ramp) - 0.5)
    step_m = np.diff(line_z)
    middle = 0.5 * (lean[1:] + lean[:-1])
    line_out = np.concatenate([[0.0], np.cumsum(np.sin(middle) * step_m)])
    line_up = np.concatenate([[0.0], np.cumsum(np.cos(middle) * step_m)]) + line_z[0]

    heading = np.deg2rad(heading_deg)
    along = verts[:, 0] * np.cos(heading) + verts[:, 1] * np.sin(heading)
    aside = -verts[:, 0] * np.sin(heading) + verts[:, 1] * np.cos(heading)
    tilt = np.interp(z, line_z, lean)
    out = np.interp(z, line_z, line_out) + along * np.cos(tilt)
    up = np.interp(z, line_z, line_up) - along * np.sin(tilt)
    x = out * np.cos(heading) - aside * np.sin(heading)
    y = out * np.sin(heading) + aside * np.cos(heading)
    return np.column_stack([x, y, up])


def twist(verts: NDArray[np.float64], *, angle_deg: float, from_z_m: float, to_z_m: float) -> NDArray[np.float64]:
    """Turn around Z, from nothing below ``from_z_m`` to ``angle_deg`` above ``to_z_m``."""
    ramp = np.clip((verts[:, 2] - from_z_m) / (to_z_m - from_z_m), 0.0, 1.0)
    turn = np.deg2rad(angle_deg) * ramp * ramp * (3.0 - 2.0 * ramp)
    twisted = verts.copy()
    twisted[:, 0] = verts[:, 0] * np.cos(turn) - verts[:, 1] * np.sin(turn)
    twisted[:, 1] = verts[:, 0] * np.sin(turn) + verts[:, 1] * np.cos(turn)
    return twisted


def dent(
    verts: NDArray[np.float64],
    *,
    at: ArrayLike,
    outward: ArrayLike,
    crease: ArrayLike,
    depth_m: float,
    crease_length_m: float,
    fold: float = 1.8,
    softness_m: float = 0.001,
) -> NDArray[np.float64]:
    """Push one dent in by folding the part beyond a curved cutting plane back inside.

    A thin wall that buckles mirrors its outermost part in a plane and creases along the
    cut.  The plane lies ``depth_m`` below the point ``at`` and faces ``outward``; along the
    ``crease`` direction it rises so that the dent ends ``crease_length_m / 2`` either side.
    ``fold`` 1 presses flat, 2 mirrors fully; ``softness_m`` rounds the rim.
    """
    point = np.asarray(at, dtype=np.float64)
    normal = np.asarray(outward, dtype=np.float64)
    normal = normal / np.linalg.norm(normal)
    tangent = np.asarray(crease, dtype=np.float64)
    tangent = tangent - normal * float(tangent @ normal)
    tangent = tangent / np.linalg.norm(tangent)
    offset = verts - point
    rise_m = depth_m * (2.0 * (offset @ tangent) / crease_length_m) ** 2
    beyond = (offset @ normal + depth_m - rise_m) / softness_m
    pushed_m = softness_m * np.logaddexp(0.0, np.clip(beyond, -60.0, None))
    return verts - normal[None, :] * (fold * pushed_m)[:, None]


def dents(
    verts: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    count: int,
    depth_range_m: tuple[float, float],
    z_range_m: tuple[float, float],
    crease_length_range_m: tuple[float, float],
    fold: float = 1.8,
    softness_m: float = 0.001,
    guide: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Several random ``dent`` folds in the side of a body that stands along +Z.

    Positions are spread over ``z_range_m``; creases run at any slant around the body.  A
    mirrored dent would turn a wall of two faces inside out, so with ``guide`` (V, 3) each
    vertex moves as its guide point would: give both faces the same points (``on_radius``).
    """
    low_m, high_m = z_range_m
    middle = verts if guide is None else guide
    start = middle
    for _ in range(count):
        z_m = rng.uniform(low_m, high_m)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        outward = np.array([np.cos(turn), np.sin(turn), rng.normal(0.0, 0.12)])
        near = np.abs(middle[:, 2] - z_m) < 0.08 * np.ptp(middle[:, 2]) + 1e-4
        if not near.any():
            continue
        reach_m = float((middle[near] @ (outward * [1.0, 1.0, 0.0])).max())
        slant = rng.normal(0.0, 0.7)
        crease = np.array([-np.sin(turn) * np.sin(slant), np.cos(turn) * np.sin(slant), np.cos(slant)])
        middle = dent(
            middle,
            at=[outward[0] * reach_m, outward[1] * reach_m, z_m],
            outward=outward,
            crease=crease,
            depth_m=rng.uniform(*depth_range_m),
            crease_length_m=rng.uniform(*crease_length_range_m),
            fold=fold,
            softness_m=softness_m,
        )
    return verts + (middle - start)


def on_radius(
    verts: NDArray[np.float64], radius_m: NDArray[np.float64] | float, within_m: float
) -> NDArray[np.float64]:
    """Guide points for ``dents``: vertices within ``within_m`` of a radius moved onto it.

    ``radius_m`` is one number or (V,); from once to twice ``within_m`` the pull fades out.
    """
    reach_m = np.hypot(verts[:, 0], verts[:, 1])
    pull = np.clip(2.0 - np.abs(reach_m - radius_m) / within_m, 0.0, 1.0)
    guide = verts.copy()
    guide[:, :2] *= (1.0 + pull * (radius_m - reach_m) / np.maximum(reach_m, 1e-9))[:, None]
    return guide


def hull_centroid(verts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of mass (3,) of the convex hull of the points, taken as solid."""
    work = bmesh.new()
    for position in verts[:: max(1, len(verts) // 1500)]:
        work.verts.new(position)
    bmesh.ops.convex_hull(work, input=work.verts)
    bmesh.ops.triangulate(work, faces=work.faces)
    corners = np.array([[vert.co for vert in face.verts] for face in work.faces])
    work.free()
    middle = verts.mean(axis=0)
    corners = corners.reshape(-1, 3, 3) - middle
    volume = np.abs(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    if volume.sum() < 1e-15:
        return middle
    return middle + (volume[:, None] * corners.sum(axis=1) / 4.0).sum(axis=0) / volume.sum()


def new_object(
    name: str,
    verts: NDArray[np.float64],
    faces: NDArray[np.int64] | Sequence[Sequence[int]],
    uvs: NDArray[np.float64],
    materials: Sequence[bpy.types.Material],
    material_index: NDArray[np.int64] | int = 0,
    *,
    sharp_angle_deg: float = 40.0,
) -> bpy.types.Object:
    """Link a smooth-shaded mesh object into the scene, origin at its hull's centre of mass.

    Edges that turn more than ``sharp_angle_deg`` stay sharp.  ``uvs`` is (F, 4, 2) with
    (F, 4) faces, or (L, 2) per corner with faces as a list of index tuples.
    """
    if isinstance(faces, np.ndarray):
        used = faces >= 0
        loop_vertex = faces[used]
        loop_total = used.sum(axis=1)
        loop_uv = uvs[used] if uvs.ndim == 3 else uvs
    else:
        loop_vertex = np.concatenate([np.asarray(face, dtype=np.int64) for face in faces])
        loop_total = np.array([len(face) for face in faces])
        loop_uv = uvs
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(verts))
    mesh.vertices.foreach_set("co", (verts - hull_centroid(verts)).astype(np.float32).ravel())
    mesh.loops.add(len(loop_vertex))
    mesh.loops.foreach_set("vertex_index", loop_vertex.astype(np.int32))
    mesh.polygons.add(len(loop_total))
    starts = np.concatenate([[0], np.cumsum(loop_total)[:-1]])
    mesh.polygons.foreach_set("loop_start", starts.astype(np.int32))
    for material in materials:
        mesh.materials.append(material)
    slots = np.broadcast_to(np.asarray(material_index, dtype=np.int32), (len(loop_total),))
    mesh.polygons.foreach_set("material_index", np.ascontiguousarray(slots))
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", loop_uv.astype(np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(loop_total), dtype=bool))
    mesh.set_sharp_from_angle(angle=float(np.deg2rad(sharp_angle_deg)))
    mesh.validate()
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item
