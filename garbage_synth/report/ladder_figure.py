"""A ladder as a picture: a row for every arm with a dot for each seed, and AP over a number as a line."""

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.report.plot import round_ticks, text_width, write_text

__all__ = ["draw_ladder"]

_WIDTH = 980
_ROW_PX = 34
_TOP_PX, _BOTTOM_PX = 56, 44
_LABELS_PX, _VALUES_PX = 300, 230  # left and right of the axis
_CURVE_WH = (_WIDTH, 400)
_CURVE_MARGIN = (70, 56, 40, 64)  # left, top, right, bottom
_INK, _SOFT, _GRID = (50, 50, 50), (110, 110, 110), (226, 226, 226)
_DOT, _BAR, _MARK, _RANGE = (120, 170, 215), (20, 80, 150), (214, 95, 14), (205, 222, 238)
_LEAST_SPAN = 0.02  # AP; less would blow up noise
_SPLIT_BITS = 4  # sub-pixel places

Canvas = NDArray[np.uint8]


def draw_ladder(results: Mapping[str, Any]) -> Canvas:
    """RGB uint8 (h, 980, 3) of a ladder's results (its results.json): light dots are seeds, bars are means, lines
    are 95 % intervals over the choice of test pictures."""
    panels = [_dots(results)]
    if results["curve"] is not None and len(results["curve"]["points"]) > 1:
        panels.append(_curve(results["curve"]))
    return np.vstack(panels)


def _dots(results: Mapping[str, Any]) -> Canvas:
    arms = results["arms"]
    bottom = _TOP_PX + _ROW_PX * len(arms)
    canvas = np.full((bottom + _BOTTOM_PX, _WIDTH, 3), 255, np.uint8)
    test = results["test_set"]
    _write(canvas, f"AP on {test['name']}, {test['split']}: {test['images']} pictures", (16, 26), _INK, 0.56)
    every = [seed["ap"] for arm in arms.values() for seed in arm["seeds"] if seed["ap"] is not None]
    every += [arm["ap_interval"][1] for arm in arms.values() if arm.get("ap_interval") is not None]
    ticks = round_ticks(0.0, max([*every, _LEAST_SPAN]))
    axis_px = _WIDTH - _LABELS_PX - _VALUES_PX

    def place(ap: float) -> float:
        return _LABELS_PX + ap / ticks[-1] * axis_px

    for tick in ticks:
        x = round(place(tick))
        cv2.line(canvas, (x, _TOP_PX - 8), (x, bottom), _GRID, 1)
        _write(canvas, f"{tick:.3g}", (x, bottom + 18), _SOFT, 0.42, anchor=0.5)
    _write(
        canvas,
        "AP; a dot for each seed, a bar at their mean, a line over its 95 % interval (test pictures)",
        (_LABELS_PX + axis_px // 2, bottom + 36),
        _SOFT,
        0.42,
        anchor=0.5,
    )
    for row, (key, arm) in enumerate(arms.items()):
        y = _TOP_PX + _ROW_PX * row + _ROW_PX // 2
        cv2.line(canvas, (_LABELS_PX, y), (_LABELS_PX + axis_px, y), _GRID, 1)
        label = _fitting(f"{key}  {arm['name']}", _LABELS_PX - 30, 0.46)
        _write(canvas, label, (16, y + 5), _INK, 0.46)
        if arm.get("ap_interval") is not None:
            low, high = (round(place(end)) for end in arm["ap_interval"])
            cv2.line(canvas, (low, y), (high, y), _RANGE, 3)
        for seed in arm["seeds"]:
            if seed["ap"] is not None:
                _dot(canvas, (place(seed["ap"]), y), 5, _DOT)
        if arm["ap_mean"] is not None:
            x = round(place(arm["ap_mean"]))
            cv2.line(canvas, (x, y - 11), (x, y + 11), _BAR, 3)
        _write(canvas, _told(arm, results["gap"]), (_LABELS_PX + axis_px + 20, y + 5), _INK, 0.42)
    return canvas


def _told(arm: Mapping[str, Any], gap: Mapping[str, Any] | None) -> str:
    if arm["ap_mean"] is None:
        return "none"
    told = f"{arm['ap_mean']:.3f}" + ("" if arm["ap_spread"] is None else f" +- {arm['ap_spread']:.3f}")
    if gap is None:
        return told
    return told + (", gap undefined" if arm["gap_closed"] is None else f", gap {arm['gap_closed']:.0%}")


def _curve(curve: Mapping[str, Any]) -> Canvas:
    """AP over x, which is logarithmic; where more stops helping is marked."""
    width, height = _CURVE_WH
    left, top, right, bottom = _CURVE_MARGIN
    canvas = np.full((height, width, 3), 255, np.uint8)
    points = curve["points"]
    _write(canvas, f"AP over {curve['x']}", (16, 26), _INK, 0.56)
    every = [ap for point in points for ap in point["ap"]]
    ticks = round_ticks(min(every), max(*every, min(every) + _LEAST_SPAN))
    low, high = math.log(points[0]["x"]), math.log(points[-1]["x"])

    def place(x: float, ap: float) -> tuple[float, float]:
        across = (math.log(x) - low) / (high - low) * 0.94 + 0.03
        up = (ap - ticks[0]) / (ticks[-1] - ticks[0])
        return left + across * (width - left - right), height - bottom - up * (height - top - bottom)

    for tick in ticks:
        y = round(place(points[0]["x"], tick)[1])
        cv2.line(canvas, (left, y), (width - right, y), _GRID, 1)
        _write(canvas, f"{tick:.3g}", (left - 10, y + 4), _SOFT, 0.42, anchor=1.0)
    for point in points:
        x = round(place(point["x"], ticks[0])[0])
        cv2.line(canvas, (x, height - bottom), (x, height - bottom + 5), _SOFT, 1)
        _write(canvas, f"{point['x']:,.0f}", (x, height - bottom + 22), _SOFT, 0.42, anchor=0.5)
    _write(canvas, f"{curve['x']} (log)", ((left + width - right) // 2, height - 16), _SOFT, 0.42, anchor=0.5)
    if curve["enough"] is not None:
        x = round(place(curve["enough"], ticks[0])[0])
        cv2.line(canvas, (x, top), (x, height - bottom), _MARK, 1)
        _write(canvas, f"more gains < {curve['tolerance']:.3f} AP", (x + 6, height - bottom - 8), _MARK, 0.42)
    line = np.array([place(point["x"], point["ap_mean"]) for point in points])
    cv2.polylines(canvas, [_fine(line)], False, _BAR, 2, cv2.LINE_AA, _SPLIT_BITS)
    for point in points:
        for ap in point["ap"]:
            _dot(canvas, place(point["x"], ap), 5, _DOT)
    for x, y in line:
        _dot(canvas, (x, y), 4, _BAR)
    return canvas


def _fine(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray((points * 2**_SPLIT_BITS).round(), dtype=np.int32)


def _dot(canvas: Canvas, at: tuple[float, float], radius: int, colour: tuple[int, int, int]) -> None:
    x, y = (int(value) for value in _fine(np.array(at)))
    cv2.circle(canvas, (x, y), radius << _SPLIT_BITS, colour, -1, cv2.LINE_AA, _SPLIT_BITS)


def _fitting(text: str, width_px: int, size: float) -> str:
    """The text, shortened until it is no wider."""
    short = text
    while text_width(short, size) > width_px:
        short = short[:-4].rstrip() + "..."
    return short


def _write(
    canvas: Canvas, text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float, *, anchor: float = 0.0
) -> None:
    """Write on the line `at`; anchor: the part of the text that lies left of it."""
    write_text(canvas, text, (at[0] - round(anchor * text_width(text, size)), at[1]), colour, size)
