"""Trainings side by side: what each made of the same crops, and what it was worth, from their run folders.

    python benchmarks/gan_arms.py runs/paper runs/labels runs/warp [--picture arms.png]

Prints a Markdown table of the look at the last step of each; the picture has a column for each run (x first), from its
newest sample.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.images import encode_png, read_rgb

SHOWN = ("swd", "kid", "lab", "cycle_psnr", "label_hold")
GAP_PX = 4
COLUMNS = 6  # x, G(x), F(G(x)), y, F(y), G(F(y))
SCALE = 2


def last_look(run: Path) -> tuple[int, dict[str, float]]:
    """(step, numbers) of the last look of a run; the kernel distance under "kid" whatever network it is of."""
    records: list[dict[str, Any]] = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    look = [record for record in records if "evaluation" in record][-1]
    return look["step"], {name.partition("@")[0]: value for name, value in look["evaluation"].items()}


def column(run: Path, number: int) -> NDArray[np.uint8]:
    """One column of the newest sample picture, RGB uint8 (h, w, 3)."""
    grid = read_rgb(max((run / "samples").glob("step_*.png")))
    side = (grid.shape[1] - (COLUMNS - 1) * GAP_PX) // COLUMNS
    return grid[:, number * (side + GAP_PX) : number * (side + GAP_PX) + side]


def main() -> None:
    """Print the table, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    print(f"| run | step | {' | '.join(SHOWN)} |\n|{'---|' * (2 + len(SHOWN))}")
    for run in options.runs:
        step, values = last_look(run)
        told = " | ".join(f"{values[name]:.3g}" if name in values else "" for name in SHOWN)
        print(f"| {run.name} | {step:,} | {told} |")
    if options.picture:
        cells = [column(options.runs[0], 0), *(column(run, 1) for run in options.runs)]
        gap = np.full((cells[0].shape[0], GAP_PX, 3), 255, np.uint8)
        row = np.hstack([part for cell in cells for part in (cell, gap)][:-1])
        write_bytes(options.picture, encode_png(row.repeat(SCALE, axis=0).repeat(SCALE, axis=1)))


if __name__ == "__main__":
    main()
