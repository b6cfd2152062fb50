"""A first guess at where the belt lies in a picture of it: cut the frame along the straight edges of the belt.

A belt runs through the picture between two straight edges, or beyond the frame. Every straight line across the picture
is rated by two measures: how strong the step of colour is on average along it, and how unlike the picture's middle
everything beyond it is. Streaks and cracks of a belt are strong lines too, but beyond them lies more belt; a shadow
makes things unlike the middle, but has no edge.
"""

from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BeltProposal", "propose_belt"]

_SIDE_PX = 256  # longer side at which lines are sought
_FINE_SIDE_PX = 1024  # at which those found are placed
_TURN_DEG = 2
_COLOURS = 24
_LIKE_LAB = (5.0, 2.0, 2.0)  # differences of L, a, b that still look like one material: light varies more than colour
_RARE = 0.35  # what is this much rarer in the middle than beyond the line counts as foreign in part
_CORE_SHARE = 0.4  # of either side of the picture: its middle, which is belt
_LARGEST_STEP = 12.0  # Lab units per pixel beyond which an edge is as good as any
_MIN_LENGTH, _FULL_LENGTH = 0.3, 0.8  # of the shorter side: shorter lines are left out; those below full count less
_MIN_BEYOND = 0.01  # share of the picture that a line must cut off
_MIN_DISTANCE = 0.08  # of the shorter side, from the picture's centre
_FIRST_SCORE, _SECOND_SCORE = 1.2, 0.6  # a weaker line is believed where it lies opposite to a strong one
_CANDIDATES = 24
_OPPOSITE_DEG = 60.0  # edges in perspective are this far from parallel at most
_PARALLEL_DEG, _FRAME_SHARE, _INNER_SCORE = 6, 0.06, 0.6  # rails are several lines: the innermost is the belt's
_REACH_DEG, _REACH_PX = 1.5, 2.0  # how far a line moves when it is placed
_SURE_SCORE = 2.5
_UNSEEN_CONFIDENCE = 0.1

Normal = tuple[float, float]


@dataclass(frozen=True, slots=True)
class BeltProposal:
    """Where the belt may lie in a picture, for a person to check.

    polygon_px: corners in the picture's pixels, (x, y), edges of pixels at integers, clipped to the frame.
    edges: how many edges of the belt were found, 0..2; without any, the polygon is the whole frame.
    travel_deg: direction of the two edges, 0 <= travel_deg < 180 (0 = +x, 90 = +y; which of the two ways it runs a
    picture does not tell); None unless both were found. confidence: 0..1, comparable between pictures, no probability.
    reason: one line for a person.
    """

    polygon_px: tuple[tuple[float, float], ...]
    edges: int
    travel_deg: float | None
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Line:
    """The points p, counted from the picture's centre, with p·normal = distance_px; the normal points out of the belt.

    angle_deg: of the normal, 0 = +x, 90 = +y. unlike: share of what lies beyond that is foreign to the belt, 0..1.
    score: strength and unlikeness in one, 0.._LARGEST_STEP.
    """

    angle_deg: float
    distance_px: float
    unlike: float
    score: float

    @property
    def normal(self) -> Normal:
        return float(np.cos(np.radians(self.angle_deg))), float(np.sin(np.radians(self.angle_deg)))


def propose_belt(image_rgb: NDArray[np.uint8]) -> BeltProposal:
    """The belt's surface in a picture of an empty or nearly empty belt, RGB uint8 (h, w, 3).

    The middle of the picture must show the belt. The same picture gives the same proposal; any size will do, and one of
    a single colour gives the whole frame.
    """
    height, width = image_rgb.shape[:2]
    lab = _lab(image_rgb, _SIDE_PX)
    lines = _chosen(_rated_lines(lab), lab.shape[1::-1])
    scale = max(height, width) / max(lab.shape[:2])
    fine = _lab(image_rgb, _FINE_SIDE_PX)
    placed = tuple(_placed(line, scale, fine, (width, height)) for line in lines)
    polygon = _clipped((width, height), placed)
    return BeltProposal(
        polygon_px=tuple((round(x, 1), round(y, 1)) for x, y in polygon),
        edges=len(placed),
        travel_deg=_travel(placed),
        confidence=_confidence(placed),
        reason=_reason(placed),
    )


def _lab(image_rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.float32]:
    """CIE Lab float32 (h, w, 3), L 0..100, with the longer side at most side_px."""
    height, width = image_rgb.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.0).astype(np.float32, copy=False)


def _rated_lines(lab: NDArray[np.float32]) -> list[_Line]:
    """The best lines across the picture, none beside a better one; positions in pixels of lab (h, w, 3)."""
    height, width = lab.shape[:2]
    short = min(height, width)
    colour, likeness = _palette(lab)
    core = np.bincount(_middle(colour).ravel(), minlength=_COLOURS)
    angles = np.arange(0, 360, _TURN_DEG)
    reach = int(np.hypot(width, height) / 2) + 1
    counts, step = _projected(lab, colour, angles, reach)

    length = counts.sum(axis=2)
    beyond = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    unlike = _unlike(beyond, core, likeness)
    step = np.maximum(step - np.median(step[length > 0]), 0)
    score = np.minimum(step, _LARGEST_STEP) * unlike**2 * np.minimum(1, length / (_FULL_LENGTH * short))
    distance = np.arange(-reach, reach + 1)
    score[(length < _MIN_LENGTH * short) | (beyond.sum(axis=2) < _MIN_BEYOND * height * width)] = 0
    score[:, distance < _MIN_DISTANCE * short] = 0

    lines: list[_Line] = []
    left = score.copy()
    while len(lines) < _CANDIDATES and left.max() >= _SECOND_SCORE:
        turn, place = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        facts = (angles[turn], distance[place], unlike[turn, place], score[turn, place])
        lines.append(_Line(*map(float, facts)))
        beside = np.arange(turn - 4, turn + 5) % len(angles)
        left[beside, max(0, place - 4) : place + 5] = 0
    return lines


def _middle(colour: NDArray[np.int64]) -> NDArray[np.int64]:
    height, width = colour.shape
    margin = (1 - _CORE_SHARE) / 2
    top, left = int(margin * height), int(margin * width)
    return colour[top : height - top, left : width - left]


def _palette(lab: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(the colour of each pixel as a number below _COLOURS, (h, w); how alike the colours are, 0..1, (k, k))."""
    features = np.divide(lab, np.asarray(_LIKE_LAB, np.float32), dtype=np.float32).reshape(-1, 3)
    sample = features[:: max(1, len(features) // 8000)]
    centres = sample.mean(axis=0, keepdims=True)
    nearest = np.full(len(sample), np.inf)
    for _ in range(_COLOURS - 1):  # the far ones first, but no single pixels
        nearest = np.minimum(nearest, ((sample - centres[-1]) ** 2).sum(axis=1))
        centres = np.vstack([centres, sample[np.argsort(nearest, kind="stable")[int(0.995 * (len(sample) - 1))]]])
    for _ in range(6):
        owner = _nearest(sample, centres)
        members = np.bincount(owner, minlength=_COLOURS)[:, None]
        sums = np.stack([np.bincount(owner, sample[:, axis], _COLOURS) for axis in range(3)], axis=1)
        centres = np.where(members > 0, sums / np.maximum(members, 1), centres).astype(np.float32)
    colour = np.concatenate([_nearest(part, centres) for part in np.array_split(features, 8)])
    likeness = np.exp(-((centres[:, None] - centres) ** 2).sum(axis=2) / 2).astype(np.float64)
    return colour.reshape(lab.shape[:2]), likeness


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1), np.int64)


def _projected(
    lab: NDArray[np.float32], colour: NDArray[np.int64], angles_deg: NDArray[np.int64], reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For the lines at each angle of the normal (all round) and distance -reach..reach from the centre:

    how many pixels of each colour lie on it (angles, distances, k), and the mean step of colour across it, in Lab
    units per pixel (angles, distances).
    """
    height, width = colour.shape
    y, x = (axis.ravel() for axis in np.mgrid[:height, :width])
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    along_x, along_y = (cv2.Sobel(lab, cv2.CV_32F, *axis, scale=1 / 8).reshape(-1, 3) for axis in ((1, 0), (0, 1)))
    distances, half = 2 * reach + 1, len(angles_deg) // 2
    counts = np.zeros((len(angles_deg), distances, _COLOURS))
    step = np.zeros((len(angles_deg), distances))
    for turn, angle in enumerate(np.radians(angles_deg[:half])):
        place = np.rint(x * np.cos(angle) + y * np.sin(angle)).astype(np.int64) + reach
        counts[turn] = np.bincount(place * _COLOURS + colour.ravel(), minlength=distances * _COLOURS).reshape(
            distances, _COLOURS
        )
        across = along_x * np.float32(np.cos(angle)) + along_y * np.float32(np.sin(angle))
        strength = np.minimum(np.sqrt((across**2).sum(axis=1)), _LARGEST_STEP)
        step[turn] = np.bincount(place, strength, distances) / np.maximum(counts[turn].sum(axis=1), 1)
    counts[half:], step[half:] = counts[:half, ::-1], step[:half, ::-1]  # the same lines from the other side
    return counts, step


def _unlike(beyond: NDArray[np.float64], core: NDArray[np.int64], likeness: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where all colours beyond a line are common in the core, 1 where none is; beyond (..., k), core (k)."""
    outside = beyond / np.maximum(beyond.sum(axis=-1, keepdims=True), 1)
    inside = core / max(1, core.sum())
    common = np.clip(inside @ likeness / np.maximum(_RARE * (outside @ likeness), 1e-9), 0, 1)
    return np.asarray((outside * (1 - common)).sum(axis=-1))


def _chosen(lines: list[_Line], size_wh: tuple[int, ...]) -> tuple[_Line, ...]:
    """No line, one, or two opposite ones: those of the highest score in sum."""
    width, height = size_wh
    strong = [line for line in lines if line.score >= _FIRST_SCORE]
    best: tuple[_Line, ...] = tuple(strong[:1])
    for first, second in product(strong, lines):
        better = first.score + second.score > sum(line.score for line in best)
        if better and _opposite(first, second, (width, height)):
            best = (first, second)
    return tuple(_innermost(line, lines, min(width, height)) for line in best)


def _opposite(first: _Line, second: _Line, size_wh: tuple[int, int]) -> bool:
    """Whether two lines can be the two edges of one belt: about parallel, and not crossing within the frame."""
    bend = abs((first.angle_deg - second.angle_deg) % 360 - 180)
    if bend > _OPPOSITE_DEG:
        return False
    normals = np.array([first.normal, second.normal])
    if abs(np.linalg.det(normals)) < 1e-6:
        return True
    x, y = np.linalg.solve(normals, [first.distance_px, second.distance_px])
    return bool(abs(x) >= size_wh[0] / 2 or abs(y) >= size_wh[1] / 2)


def _innermost(line: _Line, lines: list[_Line], short_px: int) -> _Line:
    """The line next to the belt of those that one rail draws."""
    rail = [
        other
        for other in lines
        if abs((other.angle_deg - line.angle_deg + 180) % 360 - 180) <= _PARALLEL_DEG
        and 0 <= line.distance_px - other.distance_px <= _FRAME_SHARE * short_px
        and other.score >= _INNER_SCORE * line.score
    ]
    return min(rail, key=lambda other: other.distance_px)


def _placed(line: _Line, scale: float, lab: NDArray[np.float32], size_wh: tuple[int, int]) -> _Line:
    """The line moved to the strongest step near it in a finer picture lab; in pixels of the photo of size_wh.

    scale: photo pixels per pixel of the search.
    """
    width, height = size_wh
    fine = max(lab.shape[:2]) / max(size_wh)  # fine pixels per photo pixel
    half = np.hypot(width, height) / 2
    along = np.arange(-half, half, 1 / fine)
    offsets = np.arange(-(_REACH_PX + 1) * scale, (_REACH_PX + 1) * scale + 0.5 / fine, 1 / fine)
    best, best_step = line, -1.0
    for turn in np.linspace(-_REACH_DEG, _REACH_DEG, 13):
        angle = np.radians(line.angle_deg + turn)
        distance = line.distance_px * scale + offsets[:, None]
        x = width / 2 + distance * np.cos(angle) - along * np.sin(angle)
        y = height / 2 + distance * np.sin(angle) + along * np.cos(angle)
        seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        band = cv2.remap(
            lab,
            (x * fine - 0.5).astype(np.float32),
            (y * fine - 0.5).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        strength = np.minimum(np.linalg.norm(band[2:] - band[:-2], axis=2), 2 * _LARGEST_STEP)
        both = seen[2:] & seen[:-2]
        step = (strength * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
        place = int(step.argmax())
        if step[place] > best_step:
            best_step = float(step[place])
            moved = float(line.distance_px * scale + offsets[place + 1])
            best = replace(line, angle_deg=float(line.angle_deg + turn), distance_px=moved)
    return best


def _clipped(size_wh: tuple[int, int], lines: tuple[_Line, ...]) -> list[tuple[float, float]]:
    """The frame without what lies beyond the lines, corners in order from the upper left."""
    width, height = size_wh
    corners = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    for line in lines:
        across, down = line.normal
        beyond = [(x - width / 2) * across + (y - height / 2) * down - line.distance_px for x, y in corners]
        kept: list[tuple[float, float]] = []
        for (x, y), (next_x, next_y), here, there in zip(
            corners, corners[1:] + corners[:1], beyond, beyond[1:] + beyond[:1], strict=True
        ):
            if here <= 0:
                kept.append((x, y))
            if here * there < 0:
                share = here / (here - there)
                kept.append((x + share * (next_x - x), y + share * (next_y - y)))
        corners = kept
    first = min(range(len(corners)), key=lambda index: sum(corners[index]))
    return corners[first:] + corners[:first]


def _travel(lines: tuple[_Line, ...]) -> float | None:
    if len(lines) < 2:
        return None
    first, second = (np.array(line.normal) for line in lines)
    across, down = first - second
    return round(float(np.degrees(np.arctan2(down, across)) + 90) % 180, 1) % 180


def _confidence(lines: tuple[_Line, ...]) -> float:
    if not lines:
        return _UNSEEN_CONFIDENCE
    sure = [1 - float(np.exp(-line.score / _SURE_SCORE)) for line in lines]
    return round(sum(sure) / 2 if len(sure) == 2 else 0.8 * sure[0], 2)


def _reason(lines: tuple[_Line, ...]) -> str:
    if not lines:
        return "no straight edge beyond which the picture differs from its middle; the whole frame is taken for belt"
    unlike = " and ".join(f"{line.unlike:.0%}" for line in lines)
    if len(lines) == 1:
        return f"one edge found, {unlike} of what lies beyond is unlike the belt; its other side is taken to be outside"
    return f"two edges found, {unlike} of what lies beyond them is unlike the belt"
