"""The course of a training as one picture: a panel for each kind of number in stats.jsonl."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_curves"]

_PANEL_WH = (460, 260)
_MARGIN = (52, 40, 14, 26)  # left, top, right, bottom
_COLUMNS = 3
_MOST_POINTS = 200
_INK, _GRID, _MARK = (60, 60, 60), (225, 225, 225), (180, 140, 20)
_COLOURS = ((31, 119, 180), (214, 95, 14), (44, 140, 60), (150, 70, 160), (120, 85, 60))

# title, {name in the picture: name in stats.jsonl}
_PANELS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("adversarial loss", {"to real": "adversarial_real", "to synthetic": "adversarial_synthetic"}),
    ("judges' loss (0 = the judge wins)", {"real": "judge_real", "synthetic": "judge_synthetic"}),
    (
        "cycle and identity loss",
        {
            "cycle x": "cycle_synthetic",
            "cycle y": "cycle_real",
            "same y": "identity_real",
            "same x": "identity_synthetic",
        },
    ),
    (
        "what keeps labels",
        {
            "structure": "structure",
            "new edges": "new_edges",
            "semantic": "semantic",
            "Dice": "segmenter_dice",
            "flip": "flip",
        },
    ),
    ("correlation with the input", {"to real": "correlation_real", "to synthetic": "correlation_synthetic"}),
    ("distance from real pictures", {"SWD": "swd"}),
    ("labels that hold", {"share": "label_hold"}),
    ("how far the generators move things", {"mean px": "displacement_px"}),
    ("learning rate", {"generators and judges": "learning_rate"}),
)

Points = NDArray[np.float64]


def draw_curves(records: Sequence[Mapping[str, Any]]) -> NDArray[np.uint8]:
    """RGB uint8 (h, w, 3) of the records of stats.jsonl, each line over the steps; the best step is marked.

    Kinds of numbers that no record has get no panel; without any there is one that says so. Long series are drawn as
    the means of up to 200 stretches.
    """
    best_step = next((record["step"] for record in reversed(records) if record.get("best")), None)
    last = max((record["step"] for record in records), default=1)
    drawn = [(title, {label: _series(records, key) for label, key in names.items()}) for title, names in _PANELS]
    filled = [(title, {label: line for label, line in lines.items() if len(line)}) for title, lines in drawn]
    panels = [_panel(title, lines, last, best_step) for title, lines in filled if lines] or [_nothing_yet()]
    panels += [_blank()] * (-len(panels) % _COLUMNS)
    rows = [np.hstack(panels[start : start + _COLUMNS]) for start in range(0, len(panels), _COLUMNS)]
    return np.vstack(rows)


def _series(records: Sequence[Mapping[str, Any]], key: str) -> Points:
    """(n, 2): steps and values."""
    found = [(record["step"], values[key]) for record in records if key in (values := record.get("evaluation", record))]
    points = np.array(found, np.float64).reshape(-1, 2)
    if len(points) <= _MOST_POINTS:
        return points
    return np.array([stretch.mean(axis=0) for stretch in np.array_split(points, _MOST_POINTS)])


def _blank() -> NDArray[np.uint8]:
    width, height = _PANEL_WH
    return np.full((height, width, 3), 255, np.uint8)


def _nothing_yet() -> NDArray[np.uint8]:
    canvas = _blank()
    _write(canvas, "nothing yet", (_MARGIN[0], _PANEL_WH[1] // 2), _INK, 0.45)
    return canvas


def _panel(title: str, lines: Mapping[str, Points], last: int, best_step: int | None) -> NDArray[np.uint8]:
    width, height = _PANEL_WH
    left, top, right, bottom = _MARGIN
    canvas = _blank()
    _write(canvas, title, (left, 16), _INK, 0.45)
    ticks = _ticks(min(points[:, 1].min() for points in lines.values()), max(p[:, 1].max() for p in lines.values()))

    def place(points: Points) -> NDArray[np.int32]:
        x = left + points[:, 0] / last * (width - left - right)
        y = height - bottom - (points[:, 1] - ticks[0]) / (ticks[-1] - ticks[0]) * (height - top - bottom)
        return np.stack([x, y], 1).round().astype(np.int32)

    for tick in ticks:
        (_, y), _ = place(np.array([[0.0, tick], [0.0, tick]]))
        cv2.line(canvas, (left, int(y)), (width - right, int(y)), _GRID, 1)
        _write(canvas, f"{tick:.3g}", (4, int(y) + 4), _INK, 0.36)
    if best_step is not None:
        (x, _), _ = place(np.array([[best_step, ticks[0]]] * 2, np.float64))
        cv2.line(canvas, (int(x), top), (int(x), height - bottom), _MARK, 1)
        _write(canvas, "best", (int(x) + 3, height - bottom - 4), _MARK, 0.36)
    across = left
    for (label, points), colour in zip(lines.items(), _COLOURS, strict=False):
        placed = place(points)
        cv2.polylines(canvas, [placed], False, colour, 1, cv2.LINE_AA)
        if len(placed) <= 40:
            for x, y in placed:
                cv2.circle(canvas, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)
        across = _write(canvas, f"{label} {points[-1, 1]:.3g}", (across, 32), colour, 0.38) + 12
    _write(canvas, "0", (left, height - 8), _INK, 0.36)
    _write(canvas, f"step {last:,}", (width - right - 80, height - 8), _INK, 0.36)
    return canvas


def _ticks(low: float, high: float) -> list[float]:
    """Round values from below `low` to above `high`, 3 to 6 of them."""
    span = max(high - low, 1e-3 * abs(high), 1e-6)
    step = 10 ** math.floor(math.log10(span))
    step = next(step * factor for factor in (0.2, 0.5, 1, 2, 5) if span / (step * factor) <= 4)
    first, final = math.floor(low / step), math.ceil(high / step)
    return [step * number for number in range(first, max(final, first + 1) + 1)]


def _write(canvas: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float) -> int:
    """Write from `at`, its lower left corner; where the text ends."""
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
    return at[0] + int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0])
