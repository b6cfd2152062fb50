"""Light: an item takes on the belt's, and darkens what lies below it."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.belt import FIELD_CELL_PX, BeltPixels
from garbage_synth.composite.cutout import CropFacts
from garbage_synth.composite.scene import Light, Look, Placement
from garbage_synth.composite.warp import CELL_PX, Patch

__all__ = ["Shadow", "cast_shadow", "fit_light"]

MAX_LIGHTNESS_SHIFT = 16.0  # CIE L: enough to sit in the picture, too little to turn white paper gray
MAX_COLOUR_SHIFT = 10.0
GAIN_LIMITS = (0.5, 1.6)
FLAT_FIELD = 0.02  # a field that varies less within an item is one number
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
CONTACT_ASIDE = 0.8  # the rim is moved by so many of its sigmas away from the light: on the lit side it almost vanishes


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """What is left of the light around an item: uint8 (h, w), 255 = all of it. x0, y0: frame position of its corner."""

    light: NDArray[np.uint8]
    x0: int
    y0: int


def fit_light(patch: Patch, placement: Placement, facts: CropFacts, belt: BeltPixels, look: Look) -> NDArray[np.uint8]:
    """The item's colours, RGB uint8 (h, w, 3), in the light of the belt around it.

    Its mean moves part of the way to the belt's mean in CIE Lab (after Reinhard et al. 2001, Color Transfer between
    Images), as one factor per channel, so that its texture stays; then it follows the belt's light field. Highlights,
    what lies in the upper half between an item's mean and white, are compressed by look.specular_fade.
    """
    own_rgb, item_lab = patch.rgb, facts.mean_lab
    if placement.hue_deg:
        turn = _hue_turn(placement.hue_deg)
        own_rgb, item_lab = np.asarray(cv2.transform(patch.rgb, turn), np.uint8), _turned_lab(item_lab, turn)
    region = _cells_around(patch, belt.field_small.shape)
    belt_lab = cv2.mean(belt.lab_small[region])[:3]
    shift = look.match_lightness * (belt_lab[0] - item_lab[0])
    target = [item_lab[0] + min(max(shift, -MAX_LIGHTNESS_SHIFT), MAX_LIGHTNESS_SHIFT)]
    for channel in (1, 2):
        cast = look.match_colour * belt_lab[channel]
        target.append(item_lab[channel] + min(max(cast, -MAX_COLOUR_SHIFT), MAX_COLOUR_SHIFT))
    pair = np.array([[item_lab, target]], np.float32)
    before, after = np.clip(cv2.cvtColor(pair, cv2.COLOR_LAB2RGB)[0], 0.02, 1.0)
    gain = np.clip(after / before, *GAIN_LIMITS) * placement.exposure
    field = 1 + look.follow_field * (belt.field_small[region] - 1)
    flat = float(field.max() - field.min()) < FLAT_FIELD
    if flat:
        gain = gain * float(field.mean())
    if look.specular_fade:
        levels, knee = np.arange(256, dtype=np.float64)[:, None], 255 * (1 + before) / 2
        levels = np.minimum(levels, knee) + (1 - look.specular_fade) * np.maximum(levels - knee, 0)
        table = np.clip(levels * gain[None, :], 0, 255)
        rgb = cv2.LUT(own_rgb, np.rint(table).astype(np.uint8).reshape(256, 1, 3))
    else:
        rgb = cv2.transform(own_rgb, np.diag(gain))
    if not flat:
        scaled = cv2.resize(field, patch.alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        steps = cv2.convertScaleAbs(scaled, alpha=128)
        rgb = cv2.multiply(rgb, cv2.cvtColor(steps, cv2.COLOR_GRAY2RGB), scale=1 / 128)
    return rgb.astype(np.uint8, copy=False)


def cast_shadow(patch: Patch, placement: Placement, opacity: float, light: Light) -> Shadow | None:
    """The shadow of an item, made at a quarter of the size; None where the light casts none.

    A narrow dark rim where it touches what is below (contact), and a soft one away from the light, which is the union
    of the silhouette moved by parts of the way that its top's shadow is thrown. opacity: see-through items throw less.
    """
    if light.cast_strength == 0 and light.contact_strength == 0:
        return None
    direction = math.radians(light.shadow_deg)
    throw = placement.height_px / math.tan(math.radians(light.elevation_deg)) / CELL_PX
    dx, dy = throw * math.cos(direction), throw * math.sin(direction)
    contact_sigma = min(max(0.08 * placement.height_px / CELL_PX, 0.5), 2.0)
    aside = CONTACT_ASIDE * contact_sigma
    cast_sigma = max(light.softness * placement.height_px / CELL_PX, contact_sigma)
    pad = math.ceil(3 * cast_sigma + max(abs(dx), abs(dy), aside)) + 1
    height, width = (side // CELL_PX for side in patch.alpha.shape)
    small = cv2.resize(patch.silhouette, (width, height), interpolation=cv2.INTER_AREA)
    ground = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    # the silhouette at 0, 1/3, 2/3 and 1 of the way, by two moves instead of three
    thrown = cv2.max(ground, _moved(ground, dx / 3, dy / 3))
    thrown = cv2.max(thrown, _moved(thrown, 2 * dx / 3, 2 * dy / 3))
    cast = _blurred(thrown, cast_sigma)
    contact = _blurred(_moved(ground, aside * math.cos(direction), aside * math.sin(direction)), contact_sigma)
    # Light left = (1 - cast) (1 - contact). The rim's blur is half dark at the edge itself; doubled it is dark there.
    rest = cv2.convertScaleAbs(cast, alpha=-light.cast_strength * opacity, beta=255)
    rim = cv2.convertScaleAbs(
        cv2.threshold(contact, 127, 0, cv2.THRESH_TRUNC)[1], alpha=-2 * light.contact_strength * opacity, beta=255
    )
    rest = cv2.multiply(rest, rim, scale=1 / 255)
    full_wh = (rest.shape[1] * CELL_PX, rest.shape[0] * CELL_PX)
    full = cv2.resize(rest, full_wh, interpolation=cv2.INTER_LINEAR)
    return Shadow(full.astype(np.uint8, copy=False), patch.x0 - pad * CELL_PX, patch.y0 - pad * CELL_PX)


def _hue_turn(angle_deg: float) -> NDArray[np.float64]:
    """The matrix that turns RGB about the axis of greys and keeps the luma of Rec. 601: a turn of I and Q in YIQ."""
    turn = np.eye(3)
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    turn[1:, 1:] = [[cosine, -sine], [sine, cosine]]
    return np.asarray(np.linalg.inv(_YIQ) @ turn @ _YIQ)


def _turned_lab(lab: tuple[float, float, float], turn: NDArray[np.float64]) -> tuple[float, float, float]:
    """A colour in CIE Lab after the turn, cut to what RGB can show."""
    rgb = cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_LAB2RGB)
    turned = np.clip(cv2.transform(rgb, turn), 0, 1).astype(np.float32)
    lightness, a, b = cv2.cvtColor(turned, cv2.COLOR_RGB2LAB)[0, 0].tolist()
    return lightness, a, b


def _moved(cells: NDArray[Any], dx: float, dy: float) -> NDArray[Any]:
    return cv2.warpAffine(cells, np.array([[1, 0, dx], [0, 1, dy]]), cells.shape[::-1])


def _blurred(cells: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Gaussian blur, made of two boxes where it is wide: their cost does not grow with sigma."""
    side = math.floor(math.sqrt(6 * sigma * sigma + 1))  # two boxes of this side have the variance sigma^2
    side -= 1 - side % 2
    if side < 3:
        return cv2.GaussianBlur(cells, (3, 3), sigma)
    return cv2.blur(cv2.blur(cells, (side, side)), (side, side))


def _cells_around(patch: Patch, shape_hw: tuple[int, ...]) -> tuple[slice, slice]:
    height, width = patch.alpha.shape
    slices = []
    for start, side, cells in ((patch.y0, height, shape_hw[0]), (patch.x0, width, shape_hw[1])):
        first = min(max(start // FIELD_CELL_PX, 0), cells - 1)
        last = min(max((start + side) // FIELD_CELL_PX + 1, first + 1), cells)
        slices.append(slice(first, last))
    return slices[0], slices[1]
