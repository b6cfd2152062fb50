# /// script
# requires-python = ">=3.11"
# dependencies = ["datumaro==1.13.12"]
# ///
"""Reads a dataset of garbage-synth with datumaro and compares every box with the COCO file."""

import handover


def main() -> None:
    """Reads, checks every box."""
    arguments = handover.start(handover.parser(__doc__, out=False))

    from datumaro import AnnotationType, Dataset

    reader = Dataset.import_from(str(arguments.dataset), "coco_instances")
    names = [label.name for label in reader.categories()[AnnotationType.label]]
    counts = {}
    for split in handover.SPLITS:
        truth = handover.document(arguments.dataset, split)
        ids = {entry["name"]: entry["id"] for entry in truth["categories"]}
        subset = reader.subsets()[split]
        for kind in (AnnotationType.mask, AnnotationType.bbox):  # of every item datumaro makes both
            boxes = []
            for item in subset:
                marks = [mark for mark in item.annotations if mark.type is kind]
                corners = [(x, y, x + w, y + h) for x, y, w, h in (mark.get_bbox() for mark in marks)]
                boxes += handover.boxes_of(item.attributes["id"], corners, [ids[names[mark.label]] for mark in marks])
            counts[split] = handover.check(truth, len(subset), boxes)
    handover.tell(["datumaro"], **counts)


if __name__ == "__main__":
    main()
