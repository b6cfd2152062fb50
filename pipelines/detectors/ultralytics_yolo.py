# /// script
# requires-python = ">=3.11"
# dependencies = ["pycocotools==2.0.11", "torch==2.15.0", "torchvision==0.29.2", "ultralytics==8.4.190"]
# ///
"""YOLO of Ultralytics, trained on a dataset of garbage-synth and scored by pycocotools on its val split.

Ultralytics is AGPL-3.0 (or a paid licence), which may reach what is built on it: garbage-synth neither needs nor
installs it. Writes RUN/train, a run of Ultralytics with its weights, after an export where YOLO labels are missing.
"""

import time
from pathlib import Path

import handover


def main() -> None:
    """Exports, checks every box, trains, scores."""
    parser = handover.parser(__doc__, epochs=50)
    parser.add_argument("--model", default="yolo11n.yaml", help="network to train from scratch")
    parser.add_argument("--pretrained", help="weights instead: a .pt file, or a name such as yolo11n.pt (downloaded)")
    parser.add_argument("--size", type=int, default=640, help="longer side of the network's input in pixels")
    arguments = handover.start(parser)
    online = bool(arguments.pretrained) and not Path(arguments.pretrained).is_file()
    if not online:
        handover.offline()

    from ultralytics import YOLO

    truth = {split: handover.document(arguments.dataset, split) for split in handover.SPLITS}
    ids = sorted(entry["id"] for entry in truth["train"]["categories"])  # class k is the k-th category
    labels, counts = {}, {}

    def check(trainer):
        for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
            images = {entry["file_name"]: entry for entry in truth[split]["images"]}
            labels[split] = []
            for seen in loader.dataset.labels:  # centre, width and height of each box, from 0 to 1
                image = images[Path(seen["im_file"]).name]
                x, y, w, h = (seen["bboxes"] * ([image["width"], image["height"]] * 2)).T
                corners = zip(x - w / 2, y - h / 2, x + w / 2, y + h / 2, strict=True)
                labels[split] += handover.boxes_of(image["id"], corners, [ids[int(key)] for key in seen["cls"].flat])
            counts[split] = handover.check(truth[split], len(loader.dataset.labels), labels[split])

    data = arguments.dataset / "data.yaml"
    if not data.is_file():
        data = handover.export(arguments, "yolo") / "data.yaml"
    model = YOLO(arguments.pretrained or arguments.model)
    model.add_callback("on_pretrain_routine_end", check)
    started = time.monotonic()
    model.train(
        data=str(data.resolve()),
        epochs=arguments.epochs,
        batch=arguments.batch,
        imgsz=arguments.size,
        device=handover.device(arguments),
        project=str(arguments.out.resolve()),
        name="train",
        pretrained=bool(arguments.pretrained),
        amp=online,  # to try out mixed precision it downloads weights
        workers=2,
        plots=False,
    )
    seconds = time.monotonic() - started

    found = []
    for image in truth["val"]["images"]:
        picture = arguments.dataset / "images" / "val" / image["file_name"]
        boxes = model.predict(picture, imgsz=arguments.size, conf=0.001, verbose=False)[0].boxes
        classes = [ids[int(key)] for key in boxes.cls]
        found += handover.boxes_of(image["id"], boxes.xyxy.tolist(), classes, boxes.conf.tolist())
    handover.tell(
        ("ultralytics", "torch"),
        **counts,
        labels=handover.score(truth["val"], labels["val"]),
        found=handover.score(truth["val"], found),
        train_s=round(seconds, 1),
    )


if __name__ == "__main__":
    main()
