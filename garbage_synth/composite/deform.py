"""Crops bent out of shape: where in the crop each point of the bent item comes from.

Everything is a map from the bent item back to its crop, smooth and without folds, so that one interpolation moves
pixels and silhouette together. Points are in halves of the crop's longer side from its middle.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.scene import Deform

__all__ = ["largest_reach", "source_of", "tilt_matrix"]

Points = tuple[NDArray[Any], NDArray[Any]]

CRUSH_WIDTH = 0.35  # of the crushed zone, in halves
BULGE = 0.5  # of what a crush takes along its direction, so much is added across it
STRAIGHT_DEG = 0.1  # bends below are none: their circle would be too large for float32
FAR = 10.0  # halves: outside every crop
VIEW_DISTANCE = 5.0  # of the eye, in halves: how strong the perspective of a tilt is


def tilt_matrix(deform: Deform) -> NDArray[np.float64]:
    """The homography (3, 3), flat points to points seen tilted; pinhole at VIEW_DISTANCE above the middle."""
    axis, tilt = math.radians(deform.tilt_axis_deg), math.radians(deform.tilt_deg)
    along = np.array([math.cos(axis), math.sin(axis)])
    across = np.array([-along[1], along[0]])
    seen = np.outer(along, along) + math.cos(tilt) * np.outer(across, across)
    matrix = np.eye(3)
    matrix[:2, :2] = seen
    matrix[2, :2] = math.sin(tilt) / VIEW_DISTANCE * across
    return matrix


def source_of(x: NDArray[Any], y: NDArray[Any], deform: Deform) -> Points:
    """(x, y) in the crop of points of the bent item, arrays of any one shape, float32; without the tilt."""
    if abs(deform.bend_deg) > STRAIGHT_DEG:
        x, y = _unbent(x, y, deform)
    if deform.crush:
        x, y = _uncrushed(x, y, deform)
    shift_x, shift_y = np.zeros_like(x), np.zeros_like(y)
    for at_x, at_y, dx, dy, sigma in deform.dents:
        near = np.exp(((x - at_x) ** 2 + (y - at_y) ** 2) * np.float32(-0.5 / sigma**2))
        shift_x -= dx * near
        shift_y -= dy * near
    for direction, waves, phase, amplitude in deform.ripples:
        cos, sin = math.cos(math.radians(direction)), math.sin(math.radians(direction))
        wave = amplitude * np.sin((2 * math.pi * waves) * (cos * x + sin * y) + np.float32(phase))
        shift_x -= sin * wave
        shift_y += cos * wave
    return x + shift_x, y + shift_y


def largest_reach(deform: Deform, aspect: float) -> float:
    """The bent item reaches no further beyond the crop's outline than this, in halves; the tilt is not counted.

    aspect: shorter over longer side of the crop. A bend lifts the ends by half its angle and turns what lies beside the
    axis; a crush grows across alone, a dent beyond the item's far side alone.
    """
    bend = math.radians(abs(deform.bend_deg)) / 2
    dents = sum(math.hypot(dx, dy) for _, _, dx, dy, _ in deform.dents) / 2
    return (0.5 + aspect) * bend + 0.67 * deform.crush + dents + sum(ripple[3] for ripple in deform.ripples)


def _unbent(x: NDArray[Any], y: NDArray[Any], deform: Deform) -> Points:
    """From an arc back to a straight item: the axis is a circle's arc, what lies across stays across."""
    radius = 2 / math.radians(deform.bend_deg)  # the axis is 2 halves long
    cos, sin = math.cos(math.radians(deform.bend_axis_deg)), math.sin(math.radians(deform.bend_axis_deg))
    along, across = cos * x + sin * y, cos * y - sin * x
    below = radius - across
    flip = math.copysign(1.0, radius)
    straight = np.arctan2(along * flip, below * flip) * radius
    aside = radius - flip * np.hypot(along, below)
    # beyond the circle's middle the angle leaps from pi to -pi: nothing comes from there
    aside = np.where(below * flip > 0, aside, np.float32(flip * FAR))
    return _turned_back(straight, aside, cos, sin)


def _uncrushed(x: NDArray[Any], y: NDArray[Any], deform: Deform) -> Points:
    """From a crushed item back: longer again within the zone, and narrower there."""
    cos, sin = math.cos(math.radians(deform.crush_deg)), math.sin(math.radians(deform.crush_deg))
    along, across = cos * x + sin * y, cos * y - sin * x
    # where crush is c, the zone's middle is shortened to 1 - c: the way back is 1 / (1 - c) = 1 + strength
    strength = deform.crush / (1 - deform.crush)
    within = np.tanh((along - deform.crush_at) / CRUSH_WIDTH)
    middle = math.tanh(-deform.crush_at / CRUSH_WIDTH)
    along = along + (strength * CRUSH_WIDTH) * (within - middle)
    across = across * (1 - BULGE * deform.crush * (1 - within * within))
    return _turned_back(along, across, cos, sin)


def _turned_back(along: NDArray[Any], across: NDArray[Any], cos: float, sin: float) -> Points:
    return cos * along - sin * across, sin * along + cos * across
