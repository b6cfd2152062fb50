"""Pictures per CPU second beside the tools that pip installs for the same purpose: same crops, same belt, same run.

    python benchmarks/vs_peers.py --install DIR     make an environment per peer below DIR (network), then measure
    python benchmarks/vs_peers.py --peers DIR       measure with those made before; without DIR ours alone
        [--pictures 30] [--rounds 2] [--variant "key=value key=value" ...] [--json]

1280x720, 8 items of about 280 px, one thread. Every tool runs in a process of its own, warms up, and is timed by that
process's CPU clock, so start-up is left out and neighbours on the machine disturb little. The best round counts.
A peer that reads its inputs again for every picture is charged for it, as its users are; the column `reading` says how
much of a picture's time that is. A peer that cannot be installed or run stays in the table with the reason.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from composite_speed import ITEM_PX, ITEMS, SIZE_WH, make_inputs

from garbage_synth import __version__
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.images import encode_jpeg, encode_png, read_rgb, read_rgba

HERE = Path(__file__).resolve().parent
VARIANTS = ("", "preset=fast")
"""Our settings to measure, each a list of `key=value` separated by blanks."""

PICTURE_LIBRARIES = ("numpy==2.4.6", "pillow==13.0.0", "opencv-python-headless==5.0.0.93")
ENVIRONMENTS = {
    "syndatagenyolo": (
        "syndatagenyolo==0.2.0",
        ("albumentations==2.0.8", "joblib==1.6.0", "scikit-image==0.26.0", "shapely==2.2.0", "tqdm==4.70.1"),
    ),
    "mdetsyn": ("mdetsyn==0.0.4.post1", ()),
    "cpauger": ("cpauger==1.1.2", ("pycocotools==2.0.11", "tqdm==4.70.1")),
    "albumentations": ("albumentations==2.0.8", ("albucore==0.0.24", "pydantic==2.14.3", "scipy==1.17.1")),
    "albumentationsx": (
        "albumentationsx==2.5.1",
        ("albucore==0.2.21", "numkong>=7.8", "pydantic==2.14.3", "scipy==1.17.1", "torch==2.15.0"),
    ),
}
"""The pinned peer, and what it needs to make pictures (not all that it declares: that may be torch, Qt, a trainer)."""

QUIET = {
    "ALBUMENTATIONS_NO_TELEMETRY": "1",
    "ALBUMENTATIONS_OFFLINE": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""One thread, and nobody is called."""


@dataclass(frozen=True)
class Row:
    """One tool in one way of working. `way` is its key in peer_runners.RUNNERS, None where none can be."""

    tool: str
    way: str | None
    environment: str
    labels: str
    shadow: str
    blend: str
    jpeg: str
    note: str


OURS = Row(
    f"garbage-synth {__version__}",
    "ours",
    "",
    "box, RLE, area, visible part",
    "contact + cast",
    "feathered, light fitted",
    "q90-96",
    "Also turns, squashes, drops hidden items, adds camera blur and noise, and writes the recipe of each picture.",
)
PEERS = (
    Row(
        "SynDataGenYOLO alpha",
        "syndatagenyolo alpha",
        "syndatagenyolo",
        "box, hidden parts too",
        "no",
        "alpha",
        "q70 opt.",
        "Its default effects on crops. Drops items that find no place. Worked around: it draws 1..8 items per picture, "
        "here always 8; its loop over pictures makes each twice in one process, so one picture is called at a time; "
        "installed without torch, ultralytics and labelme, which it declares but does not use here.",
    ),
    Row(
        "SynDataGenYOLO gaussian",
        "syndatagenyolo gaussian",
        "syndatagenyolo",
        "box, hidden parts too",
        "no",
        "blurred mask",
        "q70 opt.",
        "The same, blended by a mask blurred at the size of the picture.",
    ),
    Row(
        "mdetsyn",
        "mdetsyn",
        "mdetsyn",
        "box, loose, hidden parts too",
        "no",
        "see-through, 10 % Poisson",
        "q75",
        "Its default effects (turn, perspective, transparency; 15 % of the time the picture so far turns grey). Boxes "
        "are those of the turned rectangle. Worked around: it needs a class_mapping file named.",
    ),
    Row(
        "cpauger",
        "cpauger own",
        "cpauger",
        "box, polygon, hidden too",
        "no",
        "hard cut",
        "q95",
        "Crops in memory, with a hard outline; shrinks items into random rectangles, so they are far smaller than "
        "asked. Worked around: one link to the belt per picture (it writes a picture per belt file); crops given twice "
        "(it draws without return); declares OpenCV 4, runs here with 5 as the others do.",
    ),
    Row(
        "cpauger, items at size",
        "cpauger roomy",
        "cpauger",
        "box, polygon, hidden too",
        "no",
        "hard cut",
        "q95",
        "The same with its choice of place replaced by one where items keep the size asked for.",
    ),
    Row(
        "albumentations OverlayElements",
        "overlay",
        "albumentations",
        "in memory: id mask",
        "no",
        "hard cut",
        "q95 (ours)",
        "A library: the loop that draws crops, sizes and places and writes the JPEG is this benchmark's. Crops with a "
        "hard outline, not turned.",
    ),
    Row(
        "AlbumentationsX CopyAndPaste",
        "copy hard",
        "albumentationsx",
        "in memory: boxes, masks",
        "no",
        "hard cut",
        "q95 (ours)",
        "A library too: the loop that draws and scales crops and writes the JPEG is this benchmark's. Crops with a "
        "hard outline, not turned. It cannot be imported without torch.",
    ),
    Row(
        "AlbumentationsX, gaussian",
        "copy gaussian",
        "albumentationsx",
        "in memory: boxes, masks",
        "no",
        "blurred mask",
        "q95 (ours)",
        "The same with its softer blend.",
    ),
    Row(
        "torchvision copy-paste",
        None,
        "",
        "in memory: boxes, masks",
        "no",
        "blurred mask",
        "-",
        "not run: a script among torchvision's training references, not part of the package that pip installs",
    ),
)


def install(home: Path) -> dict[str, str]:
    """An environment per peer below `home`; returns the reason for each that could not be made."""
    failed = {}
    for name, (peer, needs) in ENVIRONMENTS.items():
        uv = [sys.executable, "-m", "uv"]
        pip = [*uv, "pip", "install", "--quiet", "--python", str(home / name)]
        for command in (
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home / name)],
            [*pip, "--constraint", str(HERE.parent / "constraints.txt"), *PICTURE_LIBRARIES, *needs],
            [*pip, "--no-deps", peer],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                failed[name] = f"could not be installed: {_last_line(done.stderr)}"
                break
    return failed


def write_inputs(folder: Path) -> None:
    """Those of composite_speed, as tools like them: crops without a rim, so that the size of all means the same, and
    the belt as a JPEG, which is cheaper to read again."""
    make_inputs(folder, np.random.default_rng(1))
    for path in folder.glob("crops/*/*.png"):
        rgba = read_rgba(path)
        x, y, width, height = cv2.boundingRect((rgba[..., 3] > 0).astype(np.uint8))
        write_bytes(path, encode_png(np.ascontiguousarray(rgba[y : y + height, x : x + width])))
    belt = folder / "belts" / "belt.png"
    write_bytes(belt.with_suffix(".jpg"), encode_jpeg(read_rgb(belt), 95))
    belt.unlink()


def measure(python: Path | None, row: Row, inputs: Path, pictures: int, overrides: list[str]) -> dict[str, Any]:
    """What peer_runners.py measured of a row, or {"absent": why}."""
    if row.way is None:
        return {"absent": row.note}
    if python is None or not python.exists():
        return {"absent": "not installed (--install DIR does it)"}
    work = {"inputs": str(inputs), "items": ITEMS, "item_px": ITEM_PX, "size_wh": SIZE_WH}
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [str(python), str(HERE / "peer_runners.py"), row.way, json.dumps(work), str(pictures), *overrides],
            cwd=name,
            env={**os.environ, **QUIET},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return {"absent": f"did not run: {_last_line(done.stderr)}"}
    measured: dict[str, Any] = json.loads(_last_line(done.stdout))
    return measured


def best_of(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run with the least CPU time, and the times of all."""
    absent = next((run for run in runs if "absent" in run), None)
    times = [round(run["cpu_ms"], 2) for run in runs if "cpu_ms" in run]
    return absent or {**min(runs, key=lambda run: run["cpu_ms"]), "rounds_cpu_ms": times}


def compare(
    home: Path | None, failed: dict[str, str], variants: list[str], pictures: int, rounds: int
) -> list[dict[str, Any]]:
    """The rows with what was measured, ours in every variant first; `ratio` is ours/it in pictures per CPU second, for
    each variant. `failed` are the environments that are not there, with the reason."""
    jobs: list[tuple[Row, Path | None, str]] = [(OURS, Path(sys.executable), variant) for variant in variants]
    jobs += [(row, home and home / row.environment / "bin" / "python", "") for row in PEERS]
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        write_inputs(inputs)
        turns = [
            [
                {"absent": failed[row.environment]}
                if row.environment in failed
                else measure(python, row, inputs, pictures, settings.split())
                for row, python, settings in jobs
            ]
            for _ in range(rounds)
        ]
    results = [
        {**asdict(row), "settings": settings, **best_of(runs)}
        for (row, _, settings), runs in zip(jobs, zip(*turns, strict=True), strict=True)
    ]
    ours = {result["settings"]: result["cpu_ms"] for result in results[: len(variants)] if "cpu_ms" in result}
    for result in results:
        if "cpu_ms" in result:
            result["pictures_per_cpu_s"] = round(1000 / result["cpu_ms"], 2)
            result["ratio"] = {settings: round(result["cpu_ms"] / own_ms, 2) for settings, own_ms in ours.items()}
    return results


def table(results: list[dict[str, Any]], variants: list[str]) -> str:
    """The results as text, notes below."""
    ratios = [f"ours/it {variant}".strip() for variant in variants]
    head = ["", "/CPU-s", *ratios, "reading", "items", "px", "labels", "shadow", "blend", "JPEG"]
    rows, notes = [head], []
    for number, result in enumerate(results, 1):
        title = f"{number:2} {result['tool']} {result['settings']}".rstrip()
        absent = "absent" in result
        measured = (
            ["-"] * (len(head) - 5)
            if absent
            else [
                f"{result['pictures_per_cpu_s']:.1f}",
                *(f"{result['ratio'][variant]:.2f}" if variant in result["ratio"] else "-" for variant in variants),
                f"{100 * result['reading_ms'] / result['cpu_ms']:.0f} %",
                f"{result['items']:.1f}",
                f"{result['item_px']:.0f}",
            ]
        )
        rows.append([title, *measured, *(result[name] for name in ("labels", "shadow", "blend", "jpeg"))])
        notes += textwrap.wrap(
            result["absent" if absent else "note"], 116, initial_indent=f"{number:2} ", subsequent_indent="   "
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *notes])


def main() -> None:
    """Install if asked, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--peers", type=Path, metavar="DIR", help="where --install put them")
    place.add_argument("--install", type=Path, metavar="DIR", help="make the peers' environments there first (network)")
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--variant", action="append", metavar="'key=value ...'", help="settings of ours, repeatable")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    variants = list(dict.fromkeys(options.variant or VARIANTS))
    home = options.install or options.peers
    failed = install(home) if options.install else {}
    results = compare(home and home.absolute(), failed, variants, options.pictures, options.rounds)
    machine = f"{platform.machine()} opencv {cv2.__version__} numpy {np.__version__}"
    if options.json:
        print(json.dumps({"machine": machine, "results": results}, sort_keys=True))
        return
    print(table(results, variants))
    print(f"\n{options.pictures} pictures of {SIZE_WH[0]}x{SIZE_WH[1]}, best of {options.rounds}; ours on {machine}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


if __name__ == "__main__":
    main()
