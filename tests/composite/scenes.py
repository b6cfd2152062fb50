"""Crops, belts and scenes for the tests of the compositor, drawn in memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.assets import CachedAssets
from garbage_synth.composite.belt import BeltView, fit_belt
from garbage_synth.composite.cutout import CropFacts, measure
from garbage_synth.composite.sample import Catalog
from garbage_synth.composite.scale import scale_rule
from garbage_synth.composite.scene import Camera, Light, Look, Placement, SceneSpec
from garbage_synth.config.composite import CompositeConfig, ScaleConfig
from garbage_synth.core.types import Background, Crop
from tests.makers import belt_rgb

PLAIN_CAMERA = Camera((1.0, 1.0, 1.0), 0.0, (0, 0), 0.0, 0.0, 0.0, 95)
NO_LIGHT = Light(0.0, 90.0, 0.0, 0.0, 0.0)
NO_LOOK = Look(0.0, 0.0, 0.0)


def crop(name: str = "can/a", size_px: tuple[int, int] = (40, 30), **fields: object) -> Crop:
    values = {"mask_file": None, "source": name, "length_mm": None, "quality": 1.0, **fields}
    return Crop(id=name, category=name.split("/")[0], file=f"{name}.png", size_px=size_px, **values)  # type: ignore[arg-type]


def box_rgba(
    width: int = 40, height: int = 30, colour: Sequence[int] = (200, 40, 40), alpha: int = 255
) -> NDArray[np.uint8]:
    """A crop that fills its frame."""
    return np.dstack([np.full((height, width, 3), colour), np.full((height, width), alpha)]).astype(np.uint8)


def facts_of(name: str, rgba: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None, **fields: object) -> CropFacts:
    found = measure(crop(name, (rgba.shape[1], rgba.shape[0]), **fields), rgba, mask)
    assert found is not None
    return found


def background(size_px: tuple[int, int] = (160, 120), name: str = "belt", **fields: object) -> Background:
    values = {"source": name, "polygon_px": None, "belt_mm_per_px": None, "travel_deg": None, **fields}
    return Background(id=name, file=f"{name}.jpg", size_px=size_px, **values)  # type: ignore[arg-type]


class Stock:
    """Crops by name and one belt, as the renderer's assets."""

    def __init__(
        self,
        crops: dict[str, NDArray[np.uint8]],
        masks: dict[str, NDArray[np.bool_]] | None = None,
        belt: Background | None = None,
        size_wh: tuple[int, int] | None = None,
        **fields: object,
    ) -> None:
        self.masks = masks or {}
        self.facts = {name: facts_of(name, rgba, self.masks.get(name), **fields) for name, rgba in crops.items()}
        self.background = belt or background()
        self.view: BeltView = fit_belt(self.background, size_wh)
        self.reads: list[str] = []

        def read_crop(wanted: Crop) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
            self.reads.append(wanted.id)
            return crops[wanted.id], self.masks.get(wanted.id)

        self.assets = CachedAssets(
            self.facts, {self.background.id: self.view}, read_crop, lambda belt: belt_rgb(*belt.size_px)
        )

    def catalog(self, items: tuple[int, int] = (1, 5), config: ScaleConfig | None = None) -> Catalog:
        grouped: dict[str, tuple[CropFacts, ...]] = {}
        for facts in self.facts.values():
            grouped[facts.crop.category] = (*grouped.get(facts.crop.category, ()), facts)
        rule, _ = scale_rule(config or ScaleConfig(), None, list(self.facts.values()), [self.view])
        shares = {name: 1 / len(grouped) for name in sorted(grouped)}
        return Catalog(grouped, (self.view,), shares, 3 * 2**60, items, rule)


def placed(crop_id: str, center: tuple[float, float], **fields: object) -> Placement:
    """A placement without turn, flip, squash, soft edge or shadow."""
    values = {
        "scale": 1.0,
        "angle_deg": 0.0,
        "flipped": False,
        "squash": 1.0,
        "squash_deg": 0.0,
        "height_px": 0.0,
        "exposure": 1.0,
        "feather_px": 0.0,
        **fields,
    }
    return Placement(crop_id=crop_id, center_xy_px=center, **values)  # type: ignore[arg-type]


def scene(*placements: Placement, size_wh: tuple[int, int] = (160, 120), **fields: object) -> SceneSpec:
    """A scene in plain light with a plain camera."""
    values = {"light": NO_LIGHT, "look": NO_LOOK, "camera": PLAIN_CAMERA, **fields}
    return SceneSpec(size_wh=size_wh, background_id="belt", placements=placements, **values)  # type: ignore[arg-type]


def quiet_config(**placement: object) -> CompositeConfig:
    """The default config with some placement keys changed."""
    return CompositeConfig.model_validate({"placement": placement})
