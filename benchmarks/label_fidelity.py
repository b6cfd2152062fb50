"""How often the label check errs: on pictures rewritten by simulation, whose truth is known.

    python benchmarks/label_fidelity.py [--pictures 30] [--cache FOLDER] [--half tune|held-out|both] [--seed 0] [--json]

False drop: at least half of the item is still drawn, yet its label is dropped (of all such items). False keep: the
label is kept though the item is erased (less than a quarter is drawn), or kept with a box of IoU < 0.75 with the truth
(of all kept labels). Thresholds were chosen on the half "tune"; "held-out" has other crops, belts, placements and
styles. GARBAGE_SYNTH_REAL_DATA names the folder that holds construction_belt/; without it only sample_data is used.

Invented things are measured by turning the pairs round: an item erased is then one that appears.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from simulated_refinement import FATES, SceneSet, SimulatedFrame, SimulatedItem, make_sets, simulate

from garbage_synth.core.masks import box_of_mask
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.fidelity.verdicts import Label, Verdict

MIN_DRAWN = 0.5
ERASED = 0.25
MIN_IOU = 0.75


@dataclass(frozen=True, slots=True)
class Outcome:
    """One label's verdict against the truth. iou_before, iou_after: of the label's box, old and new, with the truth."""

    scene_set: str
    fate: str
    flat: bool
    drawn: float
    status: str
    iou_before: float
    iou_after: float

    @property
    def is_drawn(self) -> bool:
        """At least half of the item is there."""
        return self.drawn >= MIN_DRAWN

    @property
    def false_drop(self) -> bool:
        """Dropped though drawn."""
        return self.is_drawn and self.status == "dropped"

    @property
    def false_keep(self) -> bool:
        """Kept though erased or with a wrong box."""
        return self.status != "dropped" and (self.drawn < ERASED or self.iou_after < MIN_IOU)


def iou(first: Sequence[float] | None, second: Sequence[float] | None) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1; 0 where one is None."""
    if first is None or second is None:
        return 0.0
    common = max(0.0, min(first[2], second[2]) - max(first[0], second[0])) * max(
        0.0, min(first[3], second[3]) - max(first[1], second[1])
    )
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return common / (sum(areas) - common)


def outcome(frame: SimulatedFrame, item: SimulatedItem, verdict: Verdict) -> Outcome:
    """The verdict of one item against its truth."""
    truth = box_of_mask(item.after)
    return Outcome(
        frame.scene_set, item.fate, item.flat, item.drawn, verdict.status,
        iou(box_of_mask(item.before), truth), iou(verdict.box_xyxy, truth),
    )  # fmt: skip


def label(mask: NDArray[np.bool_]) -> Label:
    """The label of a mask that is not empty."""
    box = box_of_mask(mask)
    assert box is not None
    return Label(box, mask)


def measure(frames: Iterable[SimulatedFrame], check: LabelCheck) -> dict[str, Any]:
    """Outcomes of all items, CPU milliseconds per frame by set, and what was found of invented things."""
    outcomes: list[Outcome] = []
    milliseconds: dict[str, list[float]] = {}
    invented = {"items": 0, "found": 0, "first": 0, "frames": 0, "false": 0}
    for frame in frames:
        labels = [label(item.before) for item in frame.items]
        began = time.process_time()
        verdict = check(frame.before_rgb, frame.after_rgb, labels)
        milliseconds.setdefault(frame.scene_set, []).append(1000 * (time.process_time() - began))
        outcomes += [outcome(frame, item, own) for item, own in zip(frame.items, verdict.verdicts, strict=True)]
        left = [label(item.after) for item in frame.items if item.after.any()]
        regions = [region.box_xyxy for region in check(frame.after_rgb, frame.before_rgb, left).invented]
        gone = [_touched(item.before, regions) for item in frame.items if item.fate == "gone"]
        whole_again = [_touched(item.before, regions) for item in frame.items if item.fate == "partly"]
        invented["items"] += len(gone)
        invented["found"] += sum(any(own) for own in gone)
        invented["first"] += sum(any(own[: len(gone)]) for own in gone)
        invented["frames"] += 1
        invented["false"] += sum(not any(own[index] for own in gone + whole_again) for index in range(len(regions)))
    return {"outcomes": outcomes, "milliseconds": milliseconds, "invented": invented}


def _touched(mask: NDArray[np.bool_], boxes: Sequence[tuple[int, int, int, int]]) -> list[bool]:
    """Which of the boxes hold a pixel of the mask."""
    return [bool(mask[y0:y1, x0:x1].any()) for x0, y0, x1, y1 in boxes]


def rates(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts and rates of some outcomes."""
    drawn = [own for own in outcomes if own.is_drawn]
    kept = [own for own in outcomes if own.status != "dropped"]
    both = [own for own in kept if own.is_drawn]
    return {
        "items": len(outcomes),
        "accepted": sum(own.status == "accepted" for own in outcomes),
        "adjusted": sum(own.status == "adjusted" for own in outcomes),
        "dropped": sum(own.status == "dropped" for own in outcomes),
        "false_drops": sum(own.false_drop for own in drawn),
        "of_drawn": len(drawn),
        "false_keeps": sum(own.false_keep for own in kept),
        "of_kept": len(kept),
        "iou_before": statistics.fmean(own.iou_before for own in both) if both else float("nan"),
        "iou_after": statistics.fmean(own.iou_after for own in both) if both else float("nan"),
    }


def table(outcomes: Sequence[Outcome]) -> list[tuple[str, dict[str, Any]]]:
    """(title, rates) of each kind, each set and all."""
    rows = []
    for flat in (False, True):
        for fate in FATES:
            rows.append(
                (f"{'flat' if flat else 'textured'}, {fate}", [o for o in outcomes if (o.flat, o.fate) == (flat, fate)])
            )
    for flat in (False, True):
        rows.append((f"{'flat' if flat else 'textured'}, all", [o for o in outcomes if o.flat == flat]))
    for name in sorted({own.scene_set for own in outcomes}):
        rows.append((name, [own for own in outcomes if own.scene_set == name]))
    rows.append(("all", list(outcomes)))
    return [(title, rates(own)) for title, own in rows if own]


def show(title: str, measured: dict[str, Any]) -> None:
    """Print one half's table."""
    print(f"\n{title}")
    print(f"{'':18s}items accept adjust   drop   false drops      false keeps      box IoU of kept")
    for name, row in table(measured["outcomes"]):
        drops = f"{row['false_drops']:3d}/{row['of_drawn']:<4d}{_percent(row['false_drops'], row['of_drawn'])}"
        keeps = f"{row['false_keeps']:3d}/{row['of_kept']:<4d}{_percent(row['false_keeps'], row['of_kept'])}"
        counts = f"{row['items']:5d} {row['accepted']:6d} {row['adjusted']:6d} {row['dropped']:6d}"
        print(f"{name:18s}{counts}   {drops}   {keeps}   {row['iou_before']:.3f} -> {row['iou_after']:.3f}")
    for name, values in measured["milliseconds"].items():
        print(f"{name}: {statistics.median(values):.0f} CPU-ms per picture (median)")
    found = measured["invented"]
    print(
        f"invented: {found['found']} of {found['items']} listed, {found['first']} of them first; "
        f"{found['false'] / max(1, found['frames']):.2f} other regions per picture"
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.2f} %" if whole else "       -"


def main() -> None:
    """Make (or take from the cache) the scenes, simulate, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=30, help="per half and set")
    parser.add_argument("--half", choices=("tune", "held-out", "both"), default="both")
    parser.add_argument("--cache", type=Path, help="folder of the scenes, kept between runs of equal --pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=1.0, help="of the simulated style; thresholds saw 1 alone")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    root = Path(__file__).resolve().parents[1] / "sample_data"
    real = Path(os.environ["GARBAGE_SYNTH_REAL_DATA"]) if "GARBAGE_SYNTH_REAL_DATA" in os.environ else None
    if real is None or not (real / "construction_belt").is_dir():
        real = None
        print("GARBAGE_SYNTH_REAL_DATA names no folder with construction_belt/: on sample_data alone")
    document: dict[str, Any] = {"sets": "sample_data" if real is None else "sample_data, construction_belt"}
    with tempfile.TemporaryDirectory() as temporary:
        sets: list[SceneSet] = make_sets(
            arguments.cache or Path(temporary), root, real, arguments.pictures, arguments.seed
        )
        for half in ("tune", "held-out"):
            if arguments.half not in (half, "both"):
                continue
            frames = (
                frame
                for scenes in sets
                if scenes.half == half
                for frame in simulate(scenes, arguments.pictures, arguments.seed, arguments.strength)
            )
            measured = measure(frames, LabelCheck())
            document[half] = {name: row for name, row in table(measured["outcomes"])}
            document[half]["invented"] = measured["invented"]
            if not arguments.json:
                show(half, measured)
    if arguments.json:
        print(json.dumps(document))


if __name__ == "__main__":
    main()
