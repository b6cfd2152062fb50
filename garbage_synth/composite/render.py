"""A recipe carried out: the picture and its labels. No randomness, no files."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.annotate import Visible, visible_parts
from garbage_synth.composite.belt import BeltPixels
from garbage_synth.composite.blend import edge, lay_over
from garbage_synth.composite.cutout import CropFacts, CropLevel, level_for
from garbage_synth.composite.scene import SceneSpec
from garbage_synth.composite.sensor import expose
from garbage_synth.composite.shade import cast_shadow, fit_light
from garbage_synth.composite.warp import Patch, warp
from garbage_synth.config.composite import LabelsConfig
from garbage_synth.core.types import Instance, Rendered

__all__ = ["Assets", "Layout", "instances_of", "lay_out", "paint", "render", "settle"]


class Assets(Protocol):
    """Where the pixels and facts of crops and belts come from."""

    def facts(self, crop_id: str) -> CropFacts:
        """What is known of a crop."""

    def level(self, crop_id: str, level: int) -> CropLevel:
        """The pixels of a crop at 1 / 2**level of its size."""

    def belt(self, background_id: str, size_wh: tuple[int, int]) -> BeltPixels:
        """The pixels of a belt in a frame of this size."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A scene with its items warped: one patch and one visible part per placement, in their order."""

    spec: SceneSpec
    patches: tuple[Patch, ...]
    visible: tuple[Visible, ...]


def render(spec: SceneSpec, assets: Assets) -> Rendered:
    """The picture of a recipe, RGB uint8 (h, w, 3), before JPEG, and its labelled items.

    Pure: equal input, equal bytes. The recipe is taken as it is; which hidden items leave the picture was decided by
    `settle`.
    """
    layout = lay_out(spec, assets)
    return Rendered(paint(layout, assets), instances_of(layout, assets))


def lay_out(spec: SceneSpec, assets: Assets) -> Layout:
    """The scene with its items warped and their visible parts measured."""
    patches = []
    for placement in spec.placements:
        facts = assets.facts(placement.crop_id)
        patches.append(warp(placement, facts, assets.level(placement.crop_id, level_for(placement.scale))))
    return Layout(spec, tuple(patches), tuple(visible_parts(patches, spec.size_wh[::-1])))


def settle(layout: Layout, labels: LabelsConfig) -> Layout:
    """The layout in which every labelled item is seen well enough, decided on masks before anything is painted.

    Where hidden items are removed, the least visible one goes first and the rest is measured again, until all that
    remain are seen, for taking one away uncovers others. Where they are kept, they lose their label. Distractors stay.
    """
    if labels.hidden == "keep":
        placements = tuple(
            replace(placement, labelled=placement.labelled and _is_seen(visible, labels))
            for placement, visible in zip(layout.spec.placements, layout.visible, strict=True)
        )
        return Layout(replace(layout.spec, placements=placements), layout.patches, layout.visible)
    spec, patches, visible = layout.spec, layout.patches, layout.visible
    while True:
        hidden = [
            index
            for index, part in enumerate(visible)
            if spec.placements[index].labelled and not _is_seen(part, labels)
        ]
        if not hidden:
            return Layout(spec, patches, visible)
        gone = min(hidden, key=lambda index: visible[index].fraction)
        placements = spec.placements[:gone] + spec.placements[gone + 1 :]
        spec = replace(spec, placements=placements, removed=spec.removed + 1)
        patches = patches[:gone] + patches[gone + 1 :]
        visible = tuple(visible_parts(patches, spec.size_wh[::-1]))


def paint(layout: Layout, assets: Assets) -> NDArray[np.uint8]:
    """The picture of a layout, RGB uint8 (h, w, 3), before JPEG."""
    spec = layout.spec
    belt = assets.belt(spec.background_id, spec.size_wh)
    canvas = belt.image_rgb.copy()
    for placement, patch in zip(spec.placements, layout.patches, strict=True):
        facts = assets.facts(placement.crop_id)
        rgb = fit_light(patch, placement, facts, belt, spec.look)
        alpha = edge(patch, placement.blend, placement.feather_px)
        shadow = cast_shadow(patch, placement, facts.opacity, spec.light)
        lay_over(canvas, rgb, alpha, (patch.x0, patch.y0), shadow, placement.blend)
    return expose(canvas, spec.camera)


def instances_of(layout: Layout, assets: Assets) -> tuple[Instance, ...]:
    """The labelled items of a layout, lowest first, with full-frame masks."""
    width, height = layout.spec.size_wh
    instances = []
    for placement, visible in zip(layout.spec.placements, layout.visible, strict=True):
        if not placement.labelled:
            continue
        mask = np.zeros((height, width), np.bool_)
        x0, y0, x1, y1 = visible.box_xyxy
        mask[y0:y1, x0:x1] = visible.part > 0
        instances.append(
            Instance(
                category=assets.facts(placement.crop_id).crop.category,
                crop_id=placement.crop_id,
                mask=mask,
                box_xyxy=visible.box_xyxy,
                area_px=visible.area_px,
                visible_fraction=visible.fraction,
                truncated=visible.truncated,
            )
        )
    return tuple(instances)


def _is_seen(visible: Visible, labels: LabelsConfig) -> bool:
    return visible.area_px >= labels.min_visible_px and visible.fraction >= labels.min_visible_fraction
