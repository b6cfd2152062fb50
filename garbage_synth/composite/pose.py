"""The chances of one item's pose, shape and edge."""

import math

import numpy as np

from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.scene import Deform, Placement
from garbage_synth.config.composite import BlendConfig, BlendMode, CompositeConfig, DeformConfig

__all__ = ["draw_pose"]

DENT_WIDTH = (0.15, 0.35)  # sigma of a dent in halves of the crop's longer side
STEEPEST_DENTS = 1.0  # depth / sigma of all dents together; from e^0.5 = 1.6 on the picture would fold
STEEPEST_RIPPLE = 0.15  # of each: 2 pi waves amplitude; from 1 on the picture would fold
RIPPLE_WAVES = (0.7, 2.5)  # per half
RIPPLES = 2
SOLID = 0.9  # mean opacity from which an item can be blended in the gradient domain or in a pyramid


def draw_pose(config: CompositeConfig, facts: CropFacts, scale: float, rng: np.random.Generator) -> Placement:
    """An item at the origin, `scale` frame pixels per crop pixel, turned and bent by chance."""
    pose, light = config.pose, config.light
    height = light.class_item_height.get(facts.crop.category, light.item_height)
    strength = config.deform.class_strength.get(facts.crop.category, 1.0)
    if not facts.crop.category:
        height, strength = config.distractors.item_height, config.distractors.deform_strength
    # what is switched off is drawn all the same, so that the rest of the scene stays as it is
    angle_deg, mirrored = round(float(rng.uniform(0, 360)), 2), bool(rng.random() < 0.5)
    hue = rng.spawn(1)[0].uniform(-1, 1)  # a stream of its own, so that the rest does not depend on it
    return Placement(
        crop_id=facts.crop.id,
        center_xy_px=(0.0, 0.0),
        scale=round(scale, 6),
        angle_deg=angle_deg if pose.rotate else 0.0,
        flipped=pose.flip and mirrored,
        squash=round(float(rng.uniform(*pose.squash)), 4),
        squash_deg=round(float(rng.uniform(0, 180)), 2),
        height_px=round(float(rng.uniform(*height)) * facts.short_px * scale, 2),
        exposure=round(float(rng.uniform(1 - light.exposure_jitter, 1 + light.exposure_jitter)), 4),
        feather_px=round(float(rng.uniform(*config.blend.feather_px)), 2),
        blend=_draw_blend(config.blend, facts.opacity, rng),
        deform=_draw_deform(config.deform, strength, facts, rng),
        hue_deg=round(light.hue_jitter_deg * float(hue), 1),
    )


def _draw_blend(config: BlendConfig, opacity: float, rng: np.random.Generator) -> BlendMode:
    """The mode of one item. See-through items are never blended by poisson or pyramid, which know no opacity, nor, in a
    mix, by none: a hard edge shows the bright rim that interpolation hides."""
    position = rng.random() * sum(config.mix_weights.values())
    drawn: BlendMode = "feather"  # where no mode has a weight
    for mode, weight in config.mix_weights.items():
        position -= weight
        if position < 0:
            drawn = mode
            break
    chosen = drawn if config.mode == "mix" else config.mode
    unfit = ("poisson", "pyramid", "none") if config.mode == "mix" else ("poisson", "pyramid")
    return "feather" if chosen in unfit and opacity < SOLID else chosen


def _draw_deform(config: DeformConfig, strength: float, facts: CropFacts, rng: np.random.Generator) -> Deform | None:
    """How one item is bent, or None."""
    seed = int(rng.integers(2**63))
    if rng.random() >= config.probability:
        return None
    rng = np.random.default_rng(seed)  # its own, so that what is drawn after it does not depend on it
    u = rng.random(7)
    bend = min(config.bend_deg * strength, 90.0) * (2 * u[2] - 1)
    dents = int(rng.integers(config.dents[0], config.dents[1] + 1)) if strength else 0
    steepest = STEEPEST_DENTS / max(dents, 2)
    ripples = RIPPLES if config.ripple * strength else 0
    deform = Deform(
        tilt_deg=round(config.tilt_deg * float(u[0]), 2),
        tilt_axis_deg=round(360 * float(u[1]), 1),
        bend_deg=round(float(bend), 2),
        bend_axis_deg=round(facts.long_axis_deg + 20 * float(u[3] - 0.5), 1),
        crush=round(min(config.crush * strength, 0.5) * float(u[4]), 4),
        crush_deg=round(180 * float(u[5]), 1),
        crush_at=round(float(u[6]) - 0.5, 3),
        dents=tuple(_draw_dent(config.dent_depth * strength, steepest, facts, rng) for _ in range(dents)),
        ripples=tuple(_draw_ripple(config.ripple * strength, rng) for _ in range(ripples)),
    )
    rigid = not (deform.bend_deg or deform.crush or dents or ripples)
    return None if rigid and not deform.tilt_deg else deform


def _draw_dent(
    depth: float, steepest: float, facts: CropFacts, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    """A dent that pushes the outline of the crop inwards somewhere."""
    sigma = float(rng.uniform(*DENT_WIDTH))
    depth = min(2 * depth * float(rng.random()), steepest * sigma)  # depth is in longer sides: two halves
    direction = float(rng.uniform(0, 2 * math.pi))
    half = max(facts.size_wh) / 2
    x = math.cos(direction) * facts.size_wh[0] / 2 / half
    y = math.sin(direction) * facts.size_wh[1] / 2 / half
    inwards = -depth / max(math.hypot(x, y), 1e-6)
    return round(x, 3), round(y, 3), round(x * inwards, 4), round(y * inwards, 4), round(sigma, 3)


def _draw_ripple(amplitude: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    waves = float(rng.uniform(*RIPPLE_WAVES))
    drawn = min(2 * amplitude * float(rng.random()), STEEPEST_RIPPLE / (2 * math.pi * waves))
    return (
        round(float(rng.uniform(0, 360)), 1),
        round(waves, 3),
        round(float(rng.uniform(0, 2 * math.pi)), 3),
        round(drawn, 5),
    )
