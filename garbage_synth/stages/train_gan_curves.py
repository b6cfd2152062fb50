"""The course of a training as one picture: a panel for each kind of number in stats.jsonl."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.report.plot import Line, empty_panel, line_panel

__all__ = ["draw_curves"]

_COLUMNS = 3
_MOST_POINTS = 200
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
    panels = [_panel(title, lines, last, best_step) for title, lines in filled if lines]
    panels = panels or [empty_panel(text="nothing yet")]
    panels += [empty_panel()] * (-len(panels) % _COLUMNS)
    rows = [np.hstack(panels[start : start + _COLUMNS]) for start in range(0, len(panels), _COLUMNS)]
    return np.vstack(rows)


def _series(records: Sequence[Mapping[str, Any]], key: str) -> Points:
    """(n, 2): steps and values."""
    found = [(record["step"], values[key]) for record in records if key in (values := record.get("evaluation", record))]
    points = np.array(found, np.float64).reshape(-1, 2)
    if len(points) <= _MOST_POINTS:
        return points
    return np.array([stretch.mean(axis=0) for stretch in np.array_split(points, _MOST_POINTS)])


def _panel(title: str, lines: Mapping[str, Points], last: int, best_step: int | None) -> NDArray[np.uint8]:
    """One kind of number over the steps; the legend tells the latest values."""
    drawn = [
        Line(f"{label} {points[-1, 1]:.3g}", points, colour)
        for (label, points), colour in zip(lines.items(), _COLOURS, strict=False)
    ]
    marked = None if best_step is None else (best_step, "best")
    return line_panel(title, drawn, x_limits=(0, last), x_words=("0", f"step {last:,}"), marked=marked)
