# /// script
# requires-python = ">=3.11"
# dependencies = ["opencv-python==5.0.0.93", "supervision==0.31.2"]
# ///
"""Reads a dataset of garbage-synth with supervision and compares every box with the COCO file."""

from pathlib import Path

import handover


def main() -> None:
    """Reads, checks every box."""
    arguments = handover.start(handover.parser(__doc__, out=False))

    from supervision import DetectionDataset

    counts = {}
    for split in handover.SPLITS:
        truth = handover.document(arguments.dataset, split)
        reader = DetectionDataset.from_coco(str(arguments.dataset / "images" / split), truth["path"])
        images = {entry["file_name"]: entry["id"] for entry in truth["images"]}
        ids = {entry["name"]: entry["id"] for entry in truth["categories"]}
        boxes = []
        for path, _, found in reader:  # classes count from 0
            classes = [ids[reader.classes[key]] for key in found.class_id]
            boxes += handover.boxes_of(images[Path(path).name], found.xyxy, classes)
        counts[split] = handover.check(truth, len(reader), boxes)
    handover.tell(["supervision"], **counts)


if __name__ == "__main__":
    main()
