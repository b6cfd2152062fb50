"""The sorting line: belt, side guards and lamps, seen by one fixed camera."""

import math
from dataclasses import dataclass
from functools import lru_cache

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray

from sample_data.render import studio, surfaces
from sample_data.render.individuals import rng_for

__all__ = [
    "FRAME_WIDTH_MM",
    "LIGHT_KINDS",
    "BeltLook",
    "belt_polygon_px",
    "build_line",
    "draw_light",
    "travel_deg",
]

FRAME_WIDTH_MM = 1152.0
CAMERA_HEIGHT_M = 2.2
CAMERA_ROLL_DEG = 0.9
BELT_WIDTH_M = 0.74
BELT_LENGTH_M = 2.4
HORIZONTAL_FOV_RAD = 2 * math.atan(FRAME_WIDTH_MM / 2000 / CAMERA_HEIGHT_M)

LIGHT_KINDS = ("led_bars", "hard_lamp", "soft_panel", "hall_window")


@dataclass(frozen=True, slots=True)
class BeltLook:
    """Which belt runs and where it stands. number: belts of one kind and number are the same belt;
    offset_m: how far it has travelled; dirt, wear: 0..1."""

    kind: str
    number: int
    offset_m: float
    dirt: float
    wear: float


def travel_deg() -> float:
    """The belt's direction in the picture, degrees, 0 = +x, 90 = +y (down)."""
    return CAMERA_ROLL_DEG


def belt_polygon_px(size_wh: tuple[int, int]) -> list[tuple[float, float]]:
    """The belt's corners in a picture of that size, clipped to it, pixels."""
    width, height = size_wh
    px_per_m = width / (FRAME_WIDTH_MM / 1000)
    turn = math.radians(CAMERA_ROLL_DEG)
    corners = []
    for x, y in ((-2, -1), (2, -1), (2, 1), (-2, 1)):
        east, north = x * 1.0, y * BELT_WIDTH_M / 2
        right, up = east * math.cos(turn) + north * math.sin(turn), -east * math.sin(turn) + north * math.cos(turn)
        corners.append((width / 2 + px_per_m * right, height / 2 - px_per_m * up))
    frame = np.float32([(0, 0), (width, 0), (width, height), (0, height)])
    _, clipped = cv2.intersectConvexConvex(np.float32(corners), frame)
    return [(round(float(x), 1) + 0.0, round(float(y), 1) + 0.0) for x, y in clipped.reshape(-1, 2)]


def build_line(scene: bpy.types.Scene, look: BeltLook, size_wh: tuple[int, int]) -> None:
    """Belt (surface at z = 0, running along +x), guards and camera, without lamps."""
    studio.set_camera(
        scene,
        studio.look_at((0, 0, CAMERA_HEIGHT_M), (0, 0, 0), CAMERA_ROLL_DEG),
        horizontal_fov_rad=HORIZONTAL_FOV_RAD,
        size_wh=size_wh,
    )
    surface = _belt_surface(look.kind, look.number, round(look.dirt, 2), round(look.wear, 2))
    belt = _sheet("belt", BELT_LENGTH_M, BELT_WIDTH_M, 0.0, offset=look.offset_m / BELT_LENGTH_M)
    belt.data.materials.append(surface_material("belt", surface, bump_m=0.0007))
    rng = rng_for("guards", look.kind, look.number)
    paint = ((0.22, 0.225, 0.23), (0.42, 0.27, 0.03), (0.05, 0.09, 0.15))[int(rng.integers(3))]
    guard_material = _painted_steel(paint, float(rng.uniform(0, 100)))
    for side in (-1, 1):
        inner = side * (BELT_WIDTH_M / 2 + 0.004)
        outer = inner + side * 0.028
        studio.add_block("guard", (-1.3, inner, -0.03), (1.3, outer, 0.045), guard_material)
        studio.add_block(
            "beam", (-1.3, outer, -0.10), (1.3, outer + side * 0.05, 0.005), _painted_steel((0.10, 0.10, 0.105), 3.0)
        )
    floor = _sheet("floor", 4.0, 3.0, -0.6, offset=0.0)
    floor.data.materials.append(_painted_steel((0.06, 0.06, 0.06), 9.0))


def draw_light(scene: bpy.types.Scene, rng: np.random.Generator, kind: str) -> None:
    """The lamps of one moment of one day: kind of LIGHT_KINDS, the rest drawn from `rng`."""
    warmth = rng.uniform(-1, 1)
    colour = (1.0 + 0.10 * warmth, 1.0, 1.0 - 0.14 * warmth)
    level = float(rng.uniform(1.0, 1.65))
    if kind == "led_bars":
        for side in (-1, 1):
            share = rng.uniform(0.55, 1.0)
            studio.add_area_light(
                scene,
                at_m=(rng.uniform(-0.1, 0.1), side * 0.62, 1.15),
                towards_m=(0, 0.05 * side, 0),
                size_m=(1.5, 0.07),
                power_w=21 * level * share,
                colour=colour,
            )
        studio.set_world(scene, (0.95, 0.97, 1.0), 0.05 * level)
    elif kind == "hard_lamp":
        turn, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.45, 0.85)
        at = (2.4 * math.sin(tilt) * math.cos(turn), 2.4 * math.sin(tilt) * math.sin(turn), 2.4 * math.cos(tilt))
        side_m = float(rng.uniform(0.06, 0.16))
        studio.add_area_light(
            scene, at_m=at, towards_m=(0, 0, 0), size_m=(side_m, side_m), power_w=62 * level, colour=colour
        )
        studio.set_world(scene, (0.93, 0.96, 1.0), 0.09 * level)
    elif kind == "soft_panel":
        at = (rng.uniform(-0.5, 0.5), rng.uniform(-0.4, 0.4), 2.0)
        studio.add_area_light(scene, at_m=at, towards_m=(0, 0, 0), size_m=(1.3, 0.9), power_w=36 * level, colour=colour)
        studio.set_world(scene, (1.0, 0.98, 0.95), 0.12 * level)
    else:
        turn = rng.uniform(0, 2 * np.pi)
        at = (2.6 * math.cos(turn), 2.6 * math.sin(turn), rng.uniform(1.3, 2.0))
        studio.add_area_light(
            scene, at_m=at, towards_m=(0, 0, 0), size_m=(1.2, 0.8), power_w=100 * level, colour=(0.93, 0.98, 1.08)
        )
        studio.add_area_light(
            scene,
            at_m=(0, 0, 2.3),
            towards_m=(0, 0, 0),
            size_m=(0.9, 0.2),
            power_w=16 * level,
            colour=(1.08, 1.0, 0.86),
        )
        studio.set_world(scene, (0.93, 0.96, 1.0), 0.07 * level)


@lru_cache(maxsize=4)
def _belt_surface(kind: str, number: int, dirt: float, wear: float) -> surfaces.Surface:
    return surfaces.belt_surface(
        rng_for("belt", kind, number), kind, length_m=BELT_LENGTH_M, width_m=BELT_WIDTH_M, dirt=dirt, wear=wear
    )


def surface_material(name: str, surface: surfaces.Surface, *, bump_m: float) -> bpy.types.Material:
    """A Principled material from the three maps of a surface, laid by UV."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    colour = _image_node(nodes, f"{name}-colour", surface.colour, "sRGB")
    roughness = _image_node(nodes, f"{name}-roughness", surface.roughness, "Non-Color")
    height = _image_node(nodes, f"{name}-height", surface.height, "Non-Color")
    bump = nodes.new("ShaderNodeBump")
    bump.inputs["Distance"].default_value = bump_m
    bump.inputs["Strength"].default_value = 0.8
    links.new(colour.outputs["Color"], shader.inputs["Base Color"])
    links.new(roughness.outputs["Color"], shader.inputs["Roughness"])
    links.new(height.outputs["Color"], bump.inputs["Height"])
    links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    shader.inputs["Specular IOR Level"].default_value = 0.35
    return material


def _image_node(nodes: bpy.types.Nodes, name: str, values: NDArray[np.uint8], space: str) -> bpy.types.Node:
    height, width = values.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=False)
    image.colorspace_settings.name = space
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = (values if values.ndim == 3 else values[..., None])[::-1] / np.float32(255.0)
    image.pixels.foreach_set(rgba.ravel())
    image.pack()
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    return node


def _sheet(name: str, length_m: float, width_m: float, z_m: float, *, offset: float) -> bpy.types.Object:
    x, y = length_m / 2, width_m / 2
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, -y, z_m), (x, -y, z_m), (x, y, z_m), (-x, y, z_m)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", np.float32([(offset, 0), (1 + offset, 0), (1 + offset, 1), (offset, 1)]).ravel())
    sheet = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(sheet)
    return sheet


def _painted_steel(colour: tuple[float, float, float], seed: float) -> bpy.types.Material:
    """Chipped, dusty paint."""
    material = bpy.data.materials.new("painted steel")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    noise = nodes.new("ShaderNodeTexNoise")
    noise.noise_dimensions = "4D"
    noise.inputs["W"].default_value = seed
    noise.inputs["Scale"].default_value = 9.0
    noise.inputs["Detail"].default_value = 8.0
    ramp = nodes.new("ShaderNodeValToRGB")
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.42, 0.66
    ramp.color_ramp.elements[0].color = (*colour, 1.0)
    ramp.color_ramp.elements[1].color = (
        *(0.55 * c + 0.45 * d for c, d in zip(colour, (0.22, 0.18, 0.14), strict=True)),
        1.0,
    )
    coordinates = nodes.new("ShaderNodeTexCoord")
    links.new(coordinates.outputs["Object"], noise.inputs["Vector"])
    links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Roughness"].default_value = 0.55
    return material
