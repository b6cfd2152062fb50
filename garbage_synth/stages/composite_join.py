"""The end of `composite`: the records of all pictures joined into the dataset's files."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from garbage_synth import __version__
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.io.atomic import write_json
from garbage_synth.io.catalog import DISTRACTOR
from garbage_synth.io.join import open_split, open_text, remove_temporaries, write_yolo_classes
from garbage_synth.stages.composite_image import RECORDS, record_path

__all__ = ["join_records", "remove_records"]


def join_records(
    out: Path,
    counts: Mapping[str, int],
    categories: Mapping[int, str],
    shares: Mapping[str, Mapping[str, float]],
    formats: Sequence[str],
) -> dict[str, Any]:
    """Write annotations/, scenes.jsonl, stats.json and, where asked, labels/ and data.yaml; returns the statistics.

    counts: pictures per split. shares: per split, the part of all items that each class was meant to get. Pictures are
    read one record at a time, in order, so memory does not grow with their number.
    """
    dataset = Dataset(
        categories=categories,
        splits={split: Split((), ()) for split in counts},
        info={"description": "Composited by garbage-synth", "version": __version__},
    )
    statistics: dict[str, Any] = {}
    with ExitStack() as stack:
        scenes = stack.enter_context(open_text(out / "scenes.jsonl"))
        for split, count in counts.items():
            (out / "images" / split).mkdir(parents=True, exist_ok=True)
            tally = _Tally(categories, shares.get(split, {}))
            with open_split(out, split, dataset, formats=formats) as writer:
                for index in range(count):
                    record = json.loads(record_path(out, (split, index)).read_text(encoding="utf-8"))
                    image = ImageRecord(**record["image"])
                    writer.add(image, [_annotation(entry, image.id) for entry in record["annotations"]])
                    line = {"file_name": image.file_name, "image_id": image.id, "index": index, "split": split}
                    scenes.write(json.dumps({**line, "scene": record["scene"]}, sort_keys=True) + "\n")
                    tally.add(record)
            statistics[split] = tally.result()
    if "yolo" in formats:
        write_yolo_classes(out, dataset)
    write_json(out / "stats.json", {"splits": statistics})
    remove_temporaries(out)
    return statistics


def remove_records(out: Path) -> None:
    """Remove the per-picture records, once the dataset is finished."""
    shutil.rmtree(out / RECORDS, ignore_errors=True)


def _annotation(entry: Mapping[str, Any], image_id: int) -> Annotation:
    x, y, width, height = entry["bbox"]
    return Annotation(
        id=0,  # numbered by the writer
        image_id=image_id,
        category_id=entry["category_id"],
        bbox_xywh=(x, y, width, height),
        area=entry["area"],
        iscrowd=0,
        segmentation=entry["segmentation"],
        extra=entry["extra"],
    )


class _Tally:
    """The statistics of one split, counted up."""

    def __init__(self, categories: Mapping[int, str], shares: Mapping[str, float]) -> None:
        self.categories, self.shares = categories, shares
        self.numbers: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.belts: Counter[str] = Counter()
        self.visible = 0.0
        self.crops: set[str] = set()

    def add(self, record: Mapping[str, Any]) -> None:
        annotations, scene = record["annotations"], record["scene"]
        self.numbers["images"] += 1
        self.numbers["images_without_items"] += not annotations
        self.numbers["annotations"] += len(annotations)
        self.numbers["truncated"] += sum(entry["extra"]["truncated"] for entry in annotations)
        distractors = sum(entry["crop_id"].startswith(DISTRACTOR) for entry in scene["placements"])
        self.numbers["distractors"] += distractors
        self.numbers["items_in_pictures"] += len(scene["placements"]) - distractors
        self.numbers["items_without_room"] += scene["not_placed"]
        self.numbers["items_removed_as_hidden"] += scene["removed"]
        self.belts[scene["background_id"]] += 1
        self.visible += sum(entry["extra"]["visible_fraction"] for entry in annotations)
        own = (placement["crop_id"] for placement in scene["placements"])
        self.crops.update(name for name in own if not name.startswith(DISTRACTOR))
        self.classes.update(self.categories[entry["category_id"]] for entry in annotations)

    def result(self) -> dict[str, Any]:
        total = max(self.numbers["annotations"], 1)
        wanted = self.shares if self.numbers["annotations"] else {}
        deviations = (abs(self.classes[name] / total / share - 1) for name, share in wanted.items())
        names = (
            "images",
            "images_without_items",
            "annotations",
            "truncated",
            "items_in_pictures",
            "distractors",
            "items_without_room",
            "items_removed_as_hidden",
        )
        return {
            **{name: self.numbers[name] for name in names},
            "mean_visible_fraction": round(self.visible / total, 4),
            "crops_used": len(self.crops),
            "largest_class_deviation": round(max(deviations, default=0.0), 4),
            "belts": dict(sorted(self.belts.items())),
            "classes": {
                name: {
                    "annotations": self.classes[name],
                    "share": round(self.classes[name] / total, 4),
                    "wanted_share": round(self.shares.get(name, 0.0), 4),
                }
                for name in self.categories.values()
            },
        }
