"""Items fall onto what lies below and come to rest: Blender's rigid bodies (Bullet), convex hulls."""

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

__all__ = ["DropZone", "settle", "throw_in"]

SETTLE_FRAMES = 84
"""At 24 a second: 3.5 s, after which a heap of household items has come to rest."""

DropZone = tuple[float, float, float, float]
"""x0, y0, x1, y1 in metres on the belt."""


def throw_in(items: Sequence[bpy.types.Object], rng: np.random.Generator, *, zone: DropZone, clustering: float) -> None:
    """Puts each item above `zone` in a random attitude, high enough that no two touch; clustering 0..1 draws heaps."""
    x0, y0, x1, y1 = zone
    heap = (rng.uniform(x0, x1), rng.uniform(y0, y1))
    placed: list[tuple[Vector, float]] = []
    for item in items:
        radius = max(Vector(corner).length for corner in item.bound_box)
        if rng.random() < clustering:
            x, y = rng.normal(heap[0], 0.12), rng.normal(heap[1], 0.09)
        else:
            x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        x, y = float(np.clip(x, x0, x1)), float(np.clip(y, y0, y1))
        z = radius + 0.02
        while any((Vector((x, y, z)) - other).length < radius + reach + 0.005 for other, reach in placed):
            z += 0.03
        placed.append((Vector((x, y, z)), radius))
        lying = rng.uniform(np.pi / 2 - 0.5, np.pi / 2 + 0.5) if rng.random() < 0.85 else rng.uniform(0, np.pi)
        attitude = Euler((lying, rng.uniform(-0.6, 0.6), 0.0)).to_matrix().to_4x4()
        spin = Matrix.Rotation(float(rng.uniform(0, 2 * np.pi)), 4, "Z")
        item.matrix_world = Matrix.Translation((x, y, z)) @ spin @ attitude


def settle(scene: bpy.types.Scene, items: Sequence[bpy.types.Object], obstacles: Sequence[bpy.types.Object]) -> None:
    """Lets the items fall until they rest, then freezes them where they lie; the obstacles are removed."""
    bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.collection = bpy.data.collections.new("bodies")
    world.substeps_per_frame = 12
    world.solver_iterations = 20
    world.point_cache.frame_start, world.point_cache.frame_end = 1, SETTLE_FRAMES
    for thing in [*items, *obstacles]:
        world.collection.objects.link(thing)
        body = thing.rigid_body
        body.use_margin = True
        body.collision_margin = 0.0004
        body.friction = 0.7
        body.restitution = 0.02
        if thing in items:
            body.type = "ACTIVE"
            body.collision_shape = "CONVEX_HULL"
            body.mass = 0.05
            body.linear_damping, body.angular_damping = 0.15, 0.5
        else:
            body.type = "PASSIVE"
            body.collision_shape = "BOX"
    scene.frame_start, scene.frame_end = 1, SETTLE_FRAMES
    for frame in range(1, SETTLE_FRAMES + 1):
        scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    resting = [item.evaluated_get(graph).matrix_world.copy() for item in items]
    bpy.ops.rigidbody.world_remove()
    for item, pose in zip(items, resting, strict=True):
        item.matrix_world = pose
    for obstacle in obstacles:
        bpy.data.objects.remove(obstacle)
    bpy.context.view_layer.update()
