"""One item on a pale board, photographed by hand; its exact silhouette; its cut-out."""

import math
from dataclasses import dataclass

import bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from sample_data.render import labels, line, physics, sensor, studio, surfaces
from sample_data.render.frames import build_individual
from sample_data.render.individuals import Individual, rng_for

__all__ = ["Photo", "cut_out", "render_photo"]

MARGIN_PX = 3
FRAME_MARGIN_PX = 16
"""A photo whose item comes closer to the frame than this is taken from farther away."""
GROUND_LEVELS = (0.004, 0.30)
"""Radiance of the two plain grounds that the cut-out is measured against: near black, light grey."""
SEE_THROUGH_SHARE = 0.04
"""A crop gets a silhouette of its own where this share of the silhouette's pixels is less than half opaque."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A phone photo and what is known of it.

    image_rgb: uint8 (h, w, 3). silhouette: bool (h, w), the pixels that the item covers. crop_rgba: uint8, straight
    alpha = opacity, tight around the item. crop_silhouette: bool of the crop's size where the item is see-through,
    else None. length_mm: longer side of the silhouette's minimum-area rectangle at the item's own distance.
    """

    image_rgb: NDArray[np.uint8]
    silhouette: NDArray[np.bool_]
    crop_rgba: NDArray[np.uint8]
    crop_silhouette: NDArray[np.bool_] | None
    length_mm: float


def render_photo(individual: Individual, size_wh: tuple[int, int], quality: studio.RenderQuality) -> Photo:
    """The photo of one individual: laid on the board as it comes to rest, filling about half of the picture's width."""
    rng = rng_for("photo", individual.key)
    scene = studio.empty_scene()
    item = build_individual(individual, most_crush=0.7)
    physics.throw_in([item], rng, zone=(-0.01, -0.01, 0.01, 0.01), clustering=0.0)
    physics.settle(scene, [item], [studio.add_block("ground", (-3, -3, -0.4), (3, 3, 0.0))])
    board = _lay_board(rng)
    distance_m = _aim(scene, item, rng, size_wh)
    _light(scene, rng)

    silhouette = labels.id_map(scene, [item]) > 0
    while _extent_margin(silhouette) < FRAME_MARGIN_PX:
        step_m = 0.12 * distance_m
        scene.camera.matrix_world = scene.camera.matrix_world @ Matrix.Translation((0, 0, step_m))
        distance_m += step_m
        bpy.context.view_layer.update()
        silhouette = labels.id_map(scene, [item]) > 0
    photo = studio.render_rgba(scene, quality, seed=individual.number)[..., :3]
    photo = sensor.through_camera(
        photo,
        rng,
        blur_px=0.0,
        travel_deg=0.0,
        noise=float(rng.uniform(0.8, 2.0)),
        vignette=float(rng.uniform(0, 0.12)),
        softness_px=float(rng.uniform(0.3, 0.6)),
    )
    x0, y0, x1, y1 = _extent(silhouette)
    x0, y0 = max(0, x0 - MARGIN_PX), max(0, y0 - MARGIN_PX)
    x1, y1 = min(size_wh[0], x1 + MARGIN_PX), min(size_wh[1], y1 + MARGIN_PX)
    grounds = [
        _over_ground(scene, board, level, quality, (x0, y0, x1, y1), individual.number) for level in GROUND_LEVELS
    ]
    crop_silhouette = silhouette[y0:y1, x0:x1]
    crop = cut_out(grounds[0], grounds[1], crop_silhouette)
    see_through = (crop[..., 3] < 128) & crop_silhouette
    focal_px = size_wh[0] / 2 / math.tan(scene.camera.data.angle / 2)
    return Photo(
        image_rgb=photo,
        silhouette=silhouette,
        crop_rgba=crop,
        crop_silhouette=crop_silhouette if see_through.sum() > SEE_THROUGH_SHARE * crop_silhouette.sum() else None,
        length_mm=round(_length_px(silhouette) * 1000 * distance_m / focal_px, 1),
    )


def cut_out(
    over_dark: NDArray[np.uint8], over_light: NDArray[np.uint8], silhouette: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The item as straight RGBA uint8 (h, w, 4), from its pictures over two plain grounds, uint8 (h, w, 3).

    Triangulation matting (Smith and Blinn, Blue Screen Matting, SIGGRAPH 1996, section 4.2): what changes with the
    ground is the ground seen past or through the item, so alpha is true opacity. One alpha cannot hold a tint;
    the colour is chosen so that over mid grey, about the level of a belt, the tint of coloured glass is right.
    """
    dark, light = over_dark.astype(np.float64) / 255, over_light.astype(np.float64) / 255
    outside = ~cv2.dilate(silhouette.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    ground_dark, ground_light = np.median(dark[outside], axis=0), np.median(light[outside], axis=0)
    seen_through = np.clip((light - dark) / (ground_light - ground_dark), 0, 1)
    alpha = 1 - seen_through.mean(axis=2, keepdims=True)
    alpha = np.clip((alpha - 0.02) / 0.96, 0, 1) * ~outside[..., None]
    middle = (ground_dark + ground_light) / 2
    premultiplied = (dark + light) / 2 - (1 - alpha) * middle
    colour = np.clip(premultiplied / np.maximum(alpha, 1 / 255), 0, 1)
    colour[alpha[..., 0] == 0] = 0
    return np.asarray(np.rint(255 * np.concatenate([colour, alpha], axis=2)), dtype=np.uint8)


def _over_ground(
    scene: bpy.types.Scene,
    board: bpy.types.Object,
    level: float,
    quality: studio.RenderQuality,
    window_xyxy: tuple[int, int, int, int],
    seed: int,
) -> NDArray[np.uint8]:
    """The window of the picture with a plain ground, lit as on the board: only what the camera sees of it changes."""
    material = board.data.materials[0]
    nodes, links = material.node_tree.nodes, material.node_tree.links
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    path, plain, choose = (
        nodes.new(kind) for kind in ("ShaderNodeLightPath", "ShaderNodeEmission", "ShaderNodeMixShader")
    )
    either = nodes.new("ShaderNodeMath")
    either.operation, either.use_clamp = "ADD", True
    plain.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    plain.inputs["Strength"].default_value = level
    links.new(path.outputs["Is Camera Ray"], either.inputs[0])
    links.new(path.outputs["Is Transmission Ray"], either.inputs[1])
    links.new(either.outputs[0], choose.inputs["Fac"])
    links.new(nodes["Principled BSDF"].outputs["BSDF"], choose.inputs[1])
    links.new(plain.outputs["Emission"], choose.inputs[2])
    links.new(choose.outputs["Shader"], output.inputs["Surface"])
    picture = studio.render_rgba(scene, quality, window_xyxy=window_xyxy, seed=seed)
    x0, y0, x1, y1 = window_xyxy
    return picture[y0:y1, x0:x1, :3]


def _lay_board(rng: np.random.Generator) -> bpy.types.Object:
    surface = surfaces.board_surface(rng)
    mesh = bpy.data.meshes.new("board")
    mesh.from_pydata([(-1.2, -0.9, 0), (1.2, -0.9, 0), (1.2, 0.9, 0), (-1.2, 0.9, 0)], [], [(0, 1, 2, 3)])
    uv = mesh.uv_layers.new(name="uv")
    uv.data.foreach_set("uv", np.float32([(0, 0), (1, 0), (1, 1), (0, 1)]).ravel())
    mesh.materials.append(line.surface_material("board", surface, bump_m=0.0004))
    board = bpy.data.objects.new("board", mesh)
    board.matrix_world = studio.look_at((0, 0, 0), (0, 0, -1), float(rng.uniform(-12, 12)))
    bpy.context.scene.collection.objects.link(board)
    return board


def _aim(scene: bpy.types.Scene, item: bpy.types.Object, rng: np.random.Generator, size_wh: tuple[int, int]) -> float:
    """Points a phone at the item so that it fills about half of the picture; returns the distance in metres."""
    corners = np.array([item.matrix_world @ Vector(corner) for corner in item.bound_box])
    centre = (corners.min(0) + corners.max(0)) / 2
    span_m = max(np.ptp(corners[:, 0]), np.ptp(corners[:, 1]) * size_wh[0] / size_wh[1], 0.03)
    fov = math.radians(48)
    distance_m = float(span_m / rng.uniform(0.66, 0.92) / 2 / math.tan(fov / 2) + np.ptp(corners[:, 2]) / 2)
    tilt, turn = math.radians(rng.uniform(0, 22)), rng.uniform(0, 2 * math.pi)
    direction = np.array([math.sin(tilt) * math.cos(turn), math.sin(tilt) * math.sin(turn), math.cos(tilt)])
    target = centre + np.array([rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05), 0.0]) * span_m
    eye = target + distance_m * direction
    pose = studio.look_at(tuple(eye), tuple(target), float(rng.uniform(-4, 4)))
    studio.set_camera(scene, pose, horizontal_fov_rad=fov, size_wh=size_wh)
    return distance_m


def _light(scene: bpy.types.Scene, rng: np.random.Generator) -> None:
    """A window on one side and the room around it."""
    warmth = rng.uniform(-1, 1)
    turn, level = rng.uniform(0, 2 * math.pi), float(rng.uniform(0.85, 1.2))
    at = (1.5 * math.cos(turn), 1.5 * math.sin(turn), float(rng.uniform(1.2, 2.0)))
    side_m = float(rng.uniform(0.35, 1.3))
    studio.add_area_light(
        scene,
        at_m=at,
        towards_m=(0, 0, 0),
        size_m=(side_m, side_m),
        power_w=46 * level,
        colour=(1 + 0.06 * warmth, 1.0, 1 - 0.08 * warmth),
    )
    studio.set_world(scene, (1 + 0.04 * warmth, 1.0, 1 - 0.05 * warmth), 0.80 * level)


def _extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _extent_margin(mask: NDArray[np.bool_]) -> int:
    """Pixels between the mask and the nearest frame edge."""
    x0, y0, x1, y1 = _extent(mask)
    return min(x0, y0, mask.shape[1] - x1, mask.shape[0] - y1)


def _length_px(silhouette: NDArray[np.bool_]) -> float:
    y, x = np.nonzero(silhouette)
    _, sides, _ = cv2.minAreaRect(np.stack([x, y], 1).astype(np.float32))
    return float(max(sides)) + 1.0
