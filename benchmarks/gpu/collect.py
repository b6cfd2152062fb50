"""What run.sh needs to compute: how many steps there is time for, and its few small results.

python benchmarks/gpu/collect.py steps PACE.json --most 20000 --minutes 3 --runs 6
python benchmarks/gpu/collect.py results WORK OUT --arms resnet9+paper warp+labels
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.io.atomic import write_bytes, write_text
from garbage_synth.io.images import encode_jpeg, list_images, read_rgb
from garbage_synth.report.draw import fit

LINES = ("sample", "construction")
CELL_PX = 480
HEAD_PX = 24
LARGEST_FILE = 16 * 2**20
SHOWN = ("label_hold", "swd", "lab", "cycle_psnr")  # of an evaluation, beside the kernel distance
FATES = ("accepted", "adjusted", "dropped")


def steps_in_time(pace: Path, *, most: int, seconds: float) -> int:
    """Steps of a training that takes `seconds`, at the pace of the training whose summary `pace` is."""
    numbers = json.loads(pace.read_text())["numbers"]
    took = numbers.get("seconds_per_step")
    return most if not took else max(int(numbers["steps"]), min(most, int(seconds / took)))


def contact_sheet(columns: dict[str, Path]) -> NDArray[np.uint8]:
    """One RGB picture: a column for each folder of pictures, a row for each place in it, names above."""
    strips = []
    for name, folder in columns.items():
        cells = [fit(read_rgb(path), CELL_PX)[0] for path in list_images(folder, recursive=True)]
        head = np.full((HEAD_PX, CELL_PX, 3), 255, np.uint8)
        cv2.putText(head, name, (4, HEAD_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        boxes = [np.pad(cell, ((0, 4), (0, CELL_PX - cell.shape[1]), (0, 0)), constant_values=255) for cell in cells]
        strips.append(np.concatenate([head, *boxes]))
    height = max(len(strip) for strip in strips)
    return np.concatenate(
        [np.pad(strip, ((0, height - len(strip)), (0, 4), (0, 0)), constant_values=255) for strip in strips], axis=1
    )


def numbers_of(path: Path) -> dict[str, Any]:
    """The numbers of a stage's summary, none where it has not been made."""
    found: dict[str, Any] = json.loads(path.read_text())["numbers"] if path.is_file() else {}
    return found


def table_of(arms: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown: a line for each training."""
    rows = [f"| line | arm | steps | s per step | KID | {' | '.join(SHOWN)} | labels: {', '.join(FATES)} |"]
    rows.append("|" + "---|" * (6 + len(SHOWN)))
    for place, both in arms.items():
        trained, refined = both["train"], both["refine"]
        best = trained.get("best", {})
        distance = next((value for name, value in best.items() if name.startswith("kid")), None)
        values = [distance, *(best.get(name) for name in SHOWN)]
        told = [_short(value) for value in (trained.get("steps"), trained.get("seconds_per_step"), *values)]
        labels = ", ".join(_short(refined.get("labels", {}).get(name)) for name in FATES)
        rows.append("| " + " | ".join([*place.split("/"), *told, labels]) + " |")
    return "\n".join(rows)


def collect(work: Path, out: Path, arms: Sequence[str]) -> None:
    """Leave in `out` a summary, all numbers, what was logged, sheets to look at and the sample line's generators."""
    trainings: dict[str, dict[str, dict[str, Any]]] = {}
    logged: list[str] = []
    notes: list[str] = []
    for line in LINES:
        columns = {"composite": work / line / "shown" / "images"}
        for arm in arms:
            run = work / line / arm
            if not (work / "done" / f"{line}-{arm}-look").exists():
                continue
            trainings[f"{line}/{arm}"] = {
                "train": numbers_of(Path(f"{run}.json")),
                "refine": numbers_of(Path(f"{run}.refined.json")),
            }
            records = (json.loads(text) for text in (run / "stats.jsonl").read_text().splitlines())
            logged += [json.dumps({"line": line, "arm": arm, **record}) for record in records]
            columns[arm] = Path(f"{run}.refined") / "images"
            generator = Path(f"{run}.safetensors")
            if line != LINES[0]:
                continue  # of real photographs, under their licence: to look at, not to hand on
            if generator.stat().st_size < LARGEST_FILE:
                shutil.copy(generator, out / generator.name)
            else:
                notes.append(f"{generator.name} was left out: {generator.stat().st_size / 2**20:.0f} MB")
        if len(columns) > 1:
            write_bytes(out / f"sheet_{line}.jpg", encode_jpeg(contact_sheet(columns), 88))
    speed = work / "refine_speed.json"
    steps = work / "gan_step.jsonl"
    document = {
        "gan_step": json.loads(steps.read_text().splitlines()[-1]) if steps.is_file() else None,
        "refine_speed": json.loads(speed.read_text()) if speed.is_file() else None,
        "trainings": trainings,
    }
    write_text(out / "measurements.json", json.dumps(document, indent=1) + "\n")
    write_text(out / "stats.jsonl", "".join(f"{text}\n" for text in logged))
    took = "\n".join(path.read_text().strip() for path in sorted((work / "done").iterdir(), key=_age))
    parts = [
        "# Training step\n",
        (work / "gan_step.md").read_text() if (work / "gan_step.md").is_file() else "",
        "\n# Trainings\n",
        table_of(trainings),
        "\n# Refining\n",
        f"```\n{json.dumps(document['refine_speed'])}\n```",
        "\n# Time\n",
        f"```\n{took}\n```",
        *notes,
    ]
    write_text(out / "summary.md", "\n".join(parts) + "\n")


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def main() -> None:
    """Do one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    steps = commands.add_parser("steps")
    steps.add_argument("pace", type=Path)
    steps.add_argument("--most", type=int, required=True)
    steps.add_argument("--minutes", type=float, required=True, help="for all runs together")
    steps.add_argument("--runs", type=int, required=True)
    results = commands.add_parser("results")
    results.add_argument("work", type=Path)
    results.add_argument("out", type=Path)
    results.add_argument("--arms", nargs="+", required=True)
    options = parser.parse_args()
    if options.command == "steps":
        print(steps_in_time(options.pace, most=options.most, seconds=60 * options.minutes / options.runs))
    else:
        collect(options.work, options.out, options.arms)


if __name__ == "__main__":
    main()
