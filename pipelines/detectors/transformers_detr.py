# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "pillow==13.0.0",
#   "pycocotools==2.0.11",
#   "scipy==1.17.1",
#   "torch==2.15.0",
#   "torchvision==0.29.2",
#   "transformers==5.23.0",
# ]
# ///
"""DETR or RT-DETR of Hugging Face transformers, trained on a dataset of garbage-synth and scored on its val split.

Both begin from their configuration with a ResNet-18 unless --pretrained says otherwise. Writes RUN/model, which
`from_pretrained` (and --pretrained here) takes up again.
"""

import time
from pathlib import Path

import handover


def main() -> None:
    """Reads, checks every box, trains, scores."""
    parser = handover.parser(__doc__, epochs=50)
    parser.add_argument("--model", choices=("detr", "rtdetr"), default="rtdetr", help="network to train from scratch")
    parser.add_argument(
        "--pretrained", help="model instead: a folder, or a name such as PekingU/rtdetr_r18vd (downloaded)"
    )
    parser.add_argument("--size", type=int, default=640, help="side of the network's input in pixels")
    arguments = handover.start(parser)
    if not arguments.pretrained or Path(arguments.pretrained).is_dir():
        handover.offline()

    import torch
    import transformers as hf
    from PIL import Image

    root, device = arguments.dataset, handover.device(arguments)
    truth = {split: handover.document(root, split) for split in handover.SPLITS}
    # Classes count from 0 here. With ids from 1 DETR would train on without an error, and lose the last class.
    categories = sorted(truth["train"]["categories"], key=lambda entry: entry["id"])
    ids = [entry["id"] for entry in categories]
    names = {"id2label": {k: entry["name"] for k, entry in enumerate(categories)}}
    names["label2id"] = {name: k for k, name in names["id2label"].items()}

    square = {"height": arguments.size, "width": arguments.size}
    resnet18 = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
    if arguments.pretrained:
        processor = hf.AutoImageProcessor.from_pretrained(arguments.pretrained, size=square)
        model = hf.AutoModelForObjectDetection.from_pretrained(
            arguments.pretrained, ignore_mismatched_sizes=True, **names
        )
    elif arguments.model == "detr":
        backbone = hf.ResNetConfig(**resnet18, out_features=["stage4"])
        processor = hf.DetrImageProcessor(size=square)
        model = hf.DetrForObjectDetection(hf.DetrConfig(backbone_config=backbone, **names))
    else:
        backbone = hf.RTDetrResNetConfig(**resnet18, out_features=["stage2", "stage3", "stage4"])
        processor = hf.RTDetrImageProcessor(size=square)
        config = hf.RTDetrConfig(
            backbone_config=backbone, encoder_in_channels=[128, 256, 512], decoder_layers=3, **names
        )
        model = hf.RTDetrForObjectDetection(config)

    def read(split):
        entries = {image["id"]: [] for image in truth[split]["images"]}
        for entry in truth[split]["annotations"]:
            entries[entry["image_id"]].append(entry | {"category_id": ids.index(entry["category_id"])})
        return [(image, entries[image["id"]]) for image in truth[split]["images"]]

    def batches(split, size, **options):
        def collate(rows):
            pictures = [Image.open(root / "images" / split / image["file_name"]).convert("RGB") for image, _ in rows]
            wanted = [{"image_id": image["id"], "annotations": entries} for image, entries in rows]
            batch = processor(images=pictures, annotations=wanted, return_tensors="pt").to(device)
            batch["labels"] = [{key: value.to(device) for key, value in own.items()} for own in batch["labels"]]
            return batch

        return torch.utils.data.DataLoader(read(split), size, collate_fn=collate, **options)

    labels, counts = {}, {}
    for split in handover.SPLITS:
        labels[split] = []
        for batch in batches(split, 1):
            seen = batch["labels"][0]
            height, width = seen["orig_size"].tolist()
            x, y, w, h = (seen["boxes"].cpu() * torch.tensor([width, height, width, height])).T
            corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1).tolist()
            classes = [ids[key] for key in seen["class_labels"].tolist()]
            labels[split] += handover.boxes_of(int(seen["image_id"]), corners, classes)
        counts[split] = handover.check(truth[split], len(truth[split]["images"]), labels[split])

    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    started, losses = time.monotonic(), []
    for epoch in range(arguments.epochs):
        for batch in batches("train", arguments.batch, shuffle=True):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {losses[-1]:.3f}")
    seconds = time.monotonic() - started
    model.save_pretrained(arguments.out / "model")
    processor.save_pretrained(arguments.out / "model")

    model.eval()
    found = []
    for batch in batches("val", 1):
        target = batch.pop("labels")[0]
        with torch.no_grad():
            result = processor.post_process_object_detection(model(**batch), 0.001, target["orig_size"][None])[0]
        classes = [ids[key] for key in result["labels"].tolist()]
        found += handover.boxes_of(
            int(target["image_id"]), result["boxes"].tolist(), classes, result["scores"].tolist()
        )
    handover.tell(
        ("transformers", "torch"),
        **counts,
        labels=handover.score(truth["val"], labels["val"]),
        found=handover.score(truth["val"], found),
        loss=[round(losses[0], 3), round(losses[-1], 3)],
        train_s=round(seconds, 1),
    )


if __name__ == "__main__":
    main()
