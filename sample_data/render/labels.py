"""Exact labels: an id pass of the very geometry that the camera sees, and each item's whole silhouette."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray

from sample_data.render import studio

__all__ = ["SUBSAMPLES", "ItemLabel", "id_map", "item_labels", "silhouette"]

SUBSAMPLES = 3
"""The id pass takes this many samples along each side of a pixel; the pixel goes to whom most of them hit."""


@dataclass(frozen=True, slots=True)
class ItemLabel:
    """What the camera sees of one item. mask: bool (h, w), visible pixels; visible_fraction: those pixels over all
    pixels of the silhouette that the item alone would have, outside the frame too; truncated: cut by the frame edge."""

    mask: NDArray[np.bool_]
    visible_fraction: float
    truncated: bool


def id_map(scene: bpy.types.Scene, items: Sequence[bpy.types.Object]) -> NDArray[np.uint8]:
    """Whose surface each pixel shows, uint8 (h, w): 0 = no item, k = items[k - 1]. See-through items count as solid.

    Every material is replaced by one that shines in the object's own number; one ray a sub-sample, no filter, no
    colour management, so the numbers come back as they are. The scene is left as it was.
    """
    override = bpy.data.materials.new("id")
    override.use_nodes = True
    nodes, links = override.node_tree.nodes, override.node_tree.links
    nodes.clear()
    info, emission = nodes.new("ShaderNodeObjectInfo"), nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(info.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])

    numbers = {item.name: number for number, item in enumerate(items, start=1)}
    for thing in scene.objects:
        thing.color = (numbers.get(thing.name, 0) / 255.0, 0.0, 0.0, 1.0)
    layer, cycles, view = scene.view_layers[0], scene.cycles, scene.view_settings
    kept = (view.view_transform, view.look, view.exposure, cycles.pixel_filter_type, cycles.filter_width)
    kept_world, kept_size = scene.world, scene.render.resolution_percentage
    try:
        layer.material_override = override
        scene.world = None
        view.view_transform, view.look, view.exposure = "Raw", "None", 0.0
        cycles.pixel_filter_type = "BOX"
        cycles.filter_width = 0.01
        scene.render.resolution_percentage = 100 * SUBSAMPLES
        fine = studio.render_rgba(scene, studio.RenderQuality(samples=1, denoise=False))[..., 0]
    finally:
        layer.material_override = None
        scene.world = kept_world
        view.view_transform, view.look, view.exposure, cycles.pixel_filter_type, cycles.filter_width = kept
        scene.render.resolution_percentage = kept_size
        bpy.data.materials.remove(override)
    return _majority(fine)


def silhouette(scene: bpy.types.Scene, item: bpy.types.Object, *, pad_px: int = 0) -> NDArray[np.bool_]:
    """The pixels that `item` alone would cover, bool (h + 2 pad, w + 2 pad): its triangles projected by the camera."""
    width, height = scene.render.resolution_x, scene.render.resolution_y
    canvas = np.zeros(((height + 2 * pad_px) * SUBSAMPLES, (width + 2 * pad_px) * SUBSAMPLES), np.uint8)
    points_px = _project(scene, item)
    mesh = item.data
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    shift = 6
    # cv2 puts integer coordinates on sample centres; ours name the left and upper edge of a sample
    fixed = np.rint(((points_px + pad_px) * SUBSAMPLES - 0.5) * (1 << shift)).astype(np.int32)
    for corners in fixed[triangles.reshape(-1, 3)]:
        cv2.fillConvexPoly(canvas, corners, 1, cv2.LINE_8, shift)
    return _majority(canvas) > 0


def item_labels(scene: bpy.types.Scene, items: Sequence[bpy.types.Object], *, pad_px: int) -> list[ItemLabel]:
    """One label per item, in order; `pad_px` is how far outside the frame a silhouette is followed."""
    ids = id_map(scene, items)
    labels = []
    for number, item in enumerate(items, start=1):
        mask = ids == number
        whole = silhouette(scene, item, pad_px=pad_px)
        inside = whole[pad_px:-pad_px, pad_px:-pad_px] if pad_px else whole
        total_px = max(int(whole.sum()), int(mask.sum()), 1)
        labels.append(
            ItemLabel(
                mask=mask,
                visible_fraction=float(mask.sum() / total_px),
                truncated=bool(whole.sum() > inside.sum()),
            )
        )
    return labels


def _project(scene: bpy.types.Scene, item: bpy.types.Object) -> NDArray[np.float64]:
    """Picture coordinates in pixels (n, 2) of the item's vertices, y down, (0, 0) the upper left corner."""
    mesh = item.data
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    local = np.c_[flat.reshape(-1, 3).astype(np.float64), np.ones(len(mesh.vertices))]
    to_camera = np.array(scene.camera.matrix_world.inverted() @ item.matrix_world)
    x, y, z = (local @ to_camera.T)[:, :3].T
    width, height = scene.render.resolution_x, scene.render.resolution_y
    focal_px = width / 2 / math.tan(scene.camera.data.angle / 2)
    return np.stack([width / 2 + focal_px * x / -z, height / 2 - focal_px * y / -z], axis=1)


def _majority(fine: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most frequent value of each SUBSAMPLES x SUBSAMPLES block; ties go to the smaller number."""
    height, width = fine.shape[0] // SUBSAMPLES, fine.shape[1] // SUBSAMPLES
    blocks = fine.reshape(height, SUBSAMPLES, width, SUBSAMPLES)
    best = np.zeros((height, width), np.uint8)
    best_votes = np.zeros((height, width), np.int32)
    for value in np.unique(fine):
        votes = (blocks == value).sum(axis=(1, 3))
        better = votes > best_votes
        best[better] = value
        best_votes[better] = votes[better]
    return best
