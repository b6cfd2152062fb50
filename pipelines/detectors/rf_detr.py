# /// script
# requires-python = ">=3.11"
# dependencies = ["pycocotools==2.0.11", "rfdetr[loggers,train]==1.11.2", "torch==2.15.0", "torchvision==0.29.2"]
# ///
"""RF-DETR Nano, trained on a dataset of garbage-synth and scored by pycocotools on its val split.

Writes RUN/dataset_coco-roboflow, the layout that RF-DETR reads, and RUN/train with its checkpoints.
"""

import time
from pathlib import Path

import handover


def main() -> None:
    """Exports, checks every box, trains, scores."""
    parser = handover.parser(__doc__, epochs=50)
    parser.add_argument(
        "--pretrained", help="weights to begin with: a .pth file, or a name such as rf-detr-nano.pth (downloaded)"
    )
    parser.add_argument("--size", type=int, default=384, help="side of the network's input in pixels, a multiple of 32")
    arguments = handover.start(parser)
    if not arguments.pretrained or Path(arguments.pretrained).is_file():
        handover.offline()

    from rfdetr import RFDETRNano
    from rfdetr.datasets.coco import CocoDetection

    truth = {split: handover.document(arguments.dataset, split) for split in handover.SPLITS}
    data = handover.export(arguments, "coco-roboflow")
    labels, counts, classes_of = {}, {}, None
    for split, folder in (("train", data / "train"), ("val", data / "valid")):
        reader = CocoDetection(
            folder, folder / "_annotations.coco.json", None, remap_category_ids=True, cat2label=classes_of
        )
        classes_of = reader.cat2label  # of the train split, for val too, as in the training
        ids = {label: key for key, label in classes_of.items()}
        labels[split] = []
        for _, target in reader:
            classes = [ids[key] for key in target["labels"].tolist()]
            labels[split] += handover.boxes_of(int(target["image_id"]), target["boxes"].tolist(), classes)
        counts[split] = handover.check(truth[split], len(reader), labels[split])

    device = handover.device(arguments)
    model = RFDETRNano(
        pretrain_weights=arguments.pretrained, device=device, num_classes=len(ids), resolution=arguments.size
    )
    started = time.monotonic()
    model.train(
        dataset_dir=str(data),
        output_dir=str(arguments.out / "train"),
        epochs=arguments.epochs,
        batch_size=arguments.batch,
        device=device,
        num_workers=0,
        tensorboard=False,
        run_test=False,
    )
    seconds = time.monotonic() - started

    found = []
    for image in truth["val"]["images"]:
        picture = arguments.dataset / "images" / "val" / image["file_name"]
        boxes = model.predict(str(picture), threshold=0.001)
        keep = boxes.class_id < len(ids)  # the class after the last is the background
        classes = [ids[int(key)] for key in boxes.class_id[keep]]
        found += handover.boxes_of(image["id"], boxes.xyxy[keep], classes, boxes.confidence[keep].tolist())
    handover.tell(
        ("rfdetr", "torch"),
        **counts,
        labels=handover.score(truth["val"], labels["val"]),
        found=handover.score(truth["val"], found),
        train_s=round(seconds, 1),
    )


if __name__ == "__main__":
    main()
