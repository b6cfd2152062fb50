"""The classes of the sample line, one builder each."""

import importlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import bpy

__all__ = ["CATEGORIES", "build_item"]

BUILDERS = {
    "beverage_carton": "cartons.build_beverage_carton",
    "cardboard_box": "boxes.build_cardboard_box",
    "glass_bottle": "bottles.build_glass_bottle",
    "metal_can": "cans.build_metal_can",
    "paper": "paper.build_paper",
    "plastic_bottle": "bottles.build_plastic_bottle",
    "plastic_tray": "trays.build_plastic_tray",
}
CATEGORIES = tuple(sorted(BUILDERS))


def build_item(category: str, rng: np.random.Generator, *, crush: float) -> "bpy.types.Object":
    """One new mesh object of `category` in the scene: metres, origin at its centre, crush 0 (intact) to 1 (flat)."""
    module_name, function_name = BUILDERS[category].split(".")
    module = importlib.import_module(f"sample_data.render.items.{module_name}")
    item: bpy.types.Object = getattr(module, function_name)(rng, crush=crush)
    return item
