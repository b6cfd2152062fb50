# /// script
# requires-python = ">=3.11"
# dependencies = ["datasets==5.2.0", "pillow==13.0.0"]
# ///
"""Reads a dataset of garbage-synth with Hugging Face datasets and compares every box with the COCO file.

Writes OUT/dataset_hf-imagefolder, ready for push_to_hub, and OUT/cache, which datasets fills.
"""

import handover


def main() -> None:
    """Exports, reads, checks every box."""
    arguments = handover.start(handover.parser(__doc__))
    handover.offline()

    from datasets import load_dataset

    folder = handover.export(arguments, "hf-imagefolder")
    reader = load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(arguments.out / "cache"))
    counts = {}
    for split, name in (("train", "train"), ("val", "validation")):
        truth = handover.document(arguments.dataset, split)
        ids = sorted(entry["id"] for entry in truth["categories"])  # classes count from 0
        boxes = []
        for row in reader[name].select_columns(["image_id", "objects"]):
            corners = [(x, y, x + width, y + height) for x, y, width, height in row["objects"]["bbox"]]
            classes = [ids[key] for key in row["objects"]["category"]]
            boxes += handover.boxes_of(row["image_id"], corners, classes)
        counts[split] = handover.check(truth, len(reader[name]), boxes)
    handover.tell(["datasets"], **counts)


if __name__ == "__main__":
    main()
