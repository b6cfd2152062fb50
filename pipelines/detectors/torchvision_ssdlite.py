# /// script
# requires-python = ">=3.11"
# dependencies = ["pycocotools==2.0.11", "torch==2.15.0", "torchvision==0.29.2"]
# ///
"""SSDlite of torchvision, trained on a dataset as garbage-synth writes it and scored on its val split.

Needs nothing beyond what garbage-synth installs. Writes RUN/model.pt, a state dict.
"""

import time
from functools import partial

import handover


def main() -> None:
    """Reads, checks every box, trains, scores."""
    parser = handover.parser(__doc__, epochs=20)
    parser.add_argument("--pretrained", action="store_true", help="backbone with ImageNet weights (downloaded once)")
    arguments = handover.start(parser)

    import torch
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
    from torchvision.models import detection
    from torchvision.transforms import v2

    root, device = arguments.dataset, handover.device(arguments)
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])

    def read(split):
        labels = root / "annotations" / f"instances_{split}.json"
        pictures = CocoDetection(root / "images" / split, labels, transforms=to_tensor)
        return wrap_dataset_for_transforms_v2(pictures, target_keys=["image_id", "boxes", "labels"])

    def collate(batch):
        # torchvision gives a picture without items no boxes at all: put in empty ones
        none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
        return [picture.to(device) for picture, _ in batch], [none | target for _, target in batch]

    def boxes_of(targets, results):
        found = []
        for target, result in zip(targets, results, strict=True):
            fields = [result[key].tolist() for key in ("boxes", "labels", "scores") if key in result]
            found += handover.boxes_of(target["image_id"], *fields)
        return found

    data = {split: read(split) for split in handover.SPLITS}
    truth = {split: handover.document(root, split) for split in handover.SPLITS}
    batches = partial(torch.utils.data.DataLoader, batch_size=arguments.batch, collate_fn=collate)
    labels = {split: [box for _, t in batches(data[split]) for box in boxes_of(t, t)] for split in data}
    counts = {split: handover.check(truth[split], len(data[split]), labels[split]) for split in data}

    classes = max(entry["id"] for entry in truth["train"]["categories"]) + 1  # ids from 1, 0 is the background
    backbone = "DEFAULT" if arguments.pretrained else None
    model = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=backbone, num_classes=classes)
    model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    started, losses = time.monotonic(), []
    for epoch in range(arguments.epochs):
        for pictures, targets in batches(data["train"], shuffle=True):
            wanted = [{key: target[key].to(device) for key in ("boxes", "labels")} for target in targets]
            loss = sum(model(pictures, wanted).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {losses[-1]:.3f}")
    seconds = time.monotonic() - started
    torch.save(model.cpu().state_dict(), arguments.out / "model.pt")

    model.to(device).eval()
    with torch.no_grad():
        found = [box for pictures, t in batches(data["val"]) for box in boxes_of(t, model(pictures))]
    handover.tell(
        ("torchvision", "torch"),
        **counts,
        labels=handover.score(truth["val"], labels["val"]),
        found=handover.score(truth["val"], found),
        loss=[round(losses[0], 3), round(losses[-1], 3)],
        train_s=round(seconds, 1),
    )


if __name__ == "__main__":
    main()
