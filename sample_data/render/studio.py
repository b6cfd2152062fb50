"""An empty Blender scene, its camera, its lamps and the ways it is rendered."""

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "DEFAULT_QUALITY",
    "RenderQuality",
    "add_area_light",
    "add_block",
    "empty_scene",
    "look_at",
    "render_rgba",
    "set_camera",
    "set_world",
]


@dataclass(frozen=True, slots=True)
class RenderQuality:
    """Path-tracing effort: samples per pixel before denoising."""

    samples: int = 16
    denoise: bool = True


DEFAULT_QUALITY = RenderQuality()


def empty_scene() -> bpy.types.Scene:
    """A new scene without any object, Cycles on the CPU, metric units."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.render.use_persistent_data = False
    scene.cycles.max_bounces = 12
    scene.cycles.transmission_bounces = 12
    scene.cycles.transparent_max_bounces = 16
    scene.cycles.caustics_reflective = False
    scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_indirect = 4.0
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    return scene


def look_at(eye_m: tuple[float, float, float], target_m: tuple[float, float, float], roll_deg: float = 0.0) -> Matrix:
    """The camera-to-world matrix of a camera at `eye_m` that looks at `target_m`; picture up is world +y at roll 0."""
    forward = (Vector(target_m) - Vector(eye_m)).normalized()
    up = Vector((0.0, 1.0, 0.0))
    right = forward.cross(up).normalized()
    rotation = Matrix((right, right.cross(forward), -forward)).transposed().to_4x4()
    return Matrix.Translation(eye_m) @ rotation @ Matrix.Rotation(math.radians(roll_deg), 4, "Z")


def set_camera(
    scene: bpy.types.Scene, pose: Matrix, *, horizontal_fov_rad: float, size_wh: tuple[int, int]
) -> bpy.types.Object:
    """The scene's camera: a pinhole at `pose` with the given field of view and picture size in pixels."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "HORIZONTAL"
    data.angle = horizontal_fov_rad
    data.clip_start = 0.01
    camera = bpy.data.objects.new("camera", data)
    camera.matrix_world = pose
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = size_wh
    scene.render.resolution_percentage = 100
    bpy.context.view_layer.update()
    return camera


def set_world(scene: bpy.types.Scene, colour: tuple[float, float, float], strength: float) -> None:
    """Light from all around, linear RGB `colour` times `strength` (W/m2/sr)."""
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*colour, 1.0)
    background.inputs["Strength"].default_value = strength
    scene.world = world


def add_area_light(
    scene: bpy.types.Scene,
    *,
    at_m: tuple[float, float, float],
    towards_m: tuple[float, float, float],
    size_m: tuple[float, float],
    power_w: float,
    colour: tuple[float, float, float],
) -> bpy.types.Object:
    """A rectangular lamp at `at_m` that faces `towards_m`; small sizes cast hard shadows."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.shape = "RECTANGLE"
    data.size, data.size_y = size_m
    data.energy = power_w
    data.color = colour
    lamp = bpy.data.objects.new("lamp", data)
    lamp.matrix_world = look_at(at_m, towards_m)
    scene.collection.objects.link(lamp)
    return lamp


def add_block(
    name: str,
    corner_m: tuple[float, float, float],
    far_corner_m: tuple[float, float, float],
    material: bpy.types.Material | None = None,
) -> bpy.types.Object:
    """An axis-aligned box between two corners; without a material it is solid for physics and never rendered."""
    near, far = Vector(corner_m), Vector(far_corner_m)
    half = (far - near) / 2
    vertices = [(x, y, z) for x in (-half.x, half.x) for y in (-half.y, half.y) for z in (-half.z, half.z)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    block = bpy.data.objects.new(name, mesh)
    block.location = near + half  # rigid bodies take a box to be centred on its origin
    if material is None:
        block.hide_render = True
    else:
        mesh.materials.append(material)
    bpy.context.scene.collection.objects.link(block)
    return block


def render_rgba(
    scene: bpy.types.Scene,
    quality: RenderQuality,
    *,
    window_xyxy: tuple[int, int, int, int] | None = None,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """The finished picture, uint8 (h, w, 4), display-referred RGB and alpha 255.

    Only the pixels of `window_xyxy` are traced where it is given; the rest is zero.
    """
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    x0, y0, x1, y1 = window_xyxy or (0, 0, width, height)
    render.use_border, render.use_crop_to_border = window_xyxy is not None, False
    render.border_min_x, render.border_max_x = x0 / width, x1 / width
    render.border_min_y, render.border_max_y = 1 - y1 / height, 1 - y0 / height
    scene.cycles.samples = quality.samples
    scene.cycles.use_adaptive_sampling = quality.denoise
    scene.cycles.adaptive_threshold, scene.cycles.adaptive_min_samples = 0.05, 8
    scene.cycles.use_denoising = quality.denoise
    scene.cycles.seed = seed
    return _render_png(scene)


def _render_png(scene: bpy.types.Scene) -> NDArray[np.uint8]:
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.image_settings.color_depth = "8"
    scene.render.image_settings.compression = 5
    scene.render.use_file_extension = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "render.png"
        scene.render.filepath = str(path)
        with _quiet_stdout():
            bpy.ops.render.render(write_still=True)
        with Image.open(path) as picture:
            return np.array(picture.convert("RGBA"))


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Blender's C code prints a line per tile; a progress bar drowns in it."""
    kept = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)
