"""How large an item appears: from its real length and the belt's millimetres per pixel, where they are known."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from garbage_synth.composite.belt import BeltView
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.config.composite import ScaleConfig
from garbage_synth.errors import InputError

__all__ = ["ScaleRule", "scale_rule"]

PLAUSIBLE_SIDES = (0.02, 0.8)  # typical length / short side of the picture beyond which a warning is due


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """Chooses scales. default_mm_per_px: per pixel of a belt's photo, for belts that do not say, or None.
    typical_mm: median length of the crops with a known one, or None."""

    config: ScaleConfig
    default_mm_per_px: float | None
    typical_mm: float | None

    def draw(
        self,
        facts: CropFacts,
        view: BeltView,
        rng: np.random.Generator,
        *,
        image_fraction: tuple[float, float] | None = None,
    ) -> float:
        """Frame pixels per crop pixel for one item in the middle of the frame.

        image_fraction: stands in for the config's, and source=native does not hold then.
        """
        jitter = rng.uniform(1 - self.config.jitter, 1 + self.config.jitter)
        if self.config.source == "native" and image_fraction is None:
            return float(view.scale * jitter)
        length_mm = self._length_mm(facts, rng)
        if length_mm is None:
            low, high = (math.log(fraction) for fraction in image_fraction or self.config.image_fraction)
            return math.exp(rng.uniform(low, high)) * min(view.size_wh) / facts.long_px
        return float(length_mm * jitter / self.mm_per_px(view) / facts.long_px)

    def mm_per_px(self, view: BeltView) -> float:
        """Millimetres per frame pixel of a belt; where nobody says, such that the typical crop takes the middle of
        image_fraction, so that at least the items' sizes relative to each other are true."""
        if view.mm_per_px is not None:
            return view.mm_per_px
        if self.default_mm_per_px is not None:
            return self.default_mm_per_px / view.scale
        low, high = self.config.image_fraction
        return (self.typical_mm or 100.0) / (math.sqrt(low * high) * min(view.size_wh))

    def _length_mm(self, facts: CropFacts, rng: np.random.Generator) -> float | None:
        if self.config.source == "fraction":
            return None
        if facts.crop.length_mm is not None:
            return facts.crop.length_mm
        table = self.config.class_length_mm.get(facts.crop.category)
        if isinstance(table, tuple):
            return float(rng.uniform(*table))
        return table


def scale_rule(
    config: ScaleConfig, default_mm_per_px: float | None, crops: Sequence[CropFacts], views: Sequence[BeltView]
) -> tuple[ScaleRule, tuple[str, ...]]:
    """(the rule for these crops on these belts, warnings about what it has to guess).

    Raises InputError where source is "length" and a crop has no length.
    """
    lengths: list[float] = []
    unknown: list[CropFacts] = []
    for facts in crops:
        table = config.class_length_mm.get(facts.crop.category)
        middle = sum(table) / 2 if isinstance(table, tuple) else table
        length = facts.crop.length_mm if facts.crop.length_mm is not None else middle
        if length is None:
            unknown.append(facts)
        else:
            lengths.append(length)
    rule = ScaleRule(config, default_mm_per_px, statistics.median(lengths) if lengths else None)
    if config.source in ("fraction", "native"):
        return rule, ()
    warnings = []
    if unknown:
        names = sorted({facts.crop.category for facts in unknown})
        what = f"{len(unknown)} of {len(crops)} crops have no length_mm ({_listed(names)})"
        if config.source == "length":
            raise InputError(f"{what}; add it to crops.json, or set scale.class_length_mm")
        low, high = config.image_fraction
        warnings.append(
            f"{what}: their longer side is drawn from {low:g} to {high:g} of the picture's short side; for real sizes "
            "set scale.class_length_mm.<class>, or scale.source=native where crops and belts come from one camera"
        )
    silent = sorted(view.background.file for view in views if view.mm_per_px is None)
    if lengths and silent and default_mm_per_px is None:
        warnings.append(
            f"belts without belt_mm_per_px ({_listed(silent)}): the scale is guessed so that "
            "a typical item looks middle-sized; set belt.mm_per_px or write a sidecar"
        )
    for view in views:
        if rule.typical_mm is None:
            break
        share = rule.typical_mm / rule.mm_per_px(view) / min(view.size_wh)
        if not PLAUSIBLE_SIDES[0] <= share <= PLAUSIBLE_SIDES[1]:
            warnings.append(
                f"belt {view.background.file}: a typical item of {rule.typical_mm:.0f} mm takes {share:.0%} of the "
                f"picture's short side at {rule.mm_per_px(view):.3g} mm per pixel; is belt_mm_per_px right?"
            )
            break
    return rule, tuple(warnings)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
