"""Real readers of a dataset tree, as a user's training script has them."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["detection_set", "perfect_score", "train_detector", "webdataset_samples"]


def perfect_score(annotations: Path, task: str = "bbox") -> tuple[float, float]:
    """(AP, AR at 100) that pycocotools gives when the labels themselves are handed in as predictions."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(annotations))
    keys = ("image_id", "category_id", "bbox" if task == "bbox" else "segmentation")
    predictions = [{key: entry[key] for key in keys} | {"score": 1.0} for entry in truth.dataset["annotations"]]
    evaluation = COCOeval(truth, truth.loadRes(predictions), task)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[8])


def detection_set(root: Path, split: str, **options: Any) -> Any:
    """The split as a torchvision dataset of (tensor 0..1, target with boxes and labels)."""
    import torch
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
    from torchvision.transforms import v2

    transforms = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    annotations = root / "annotations" / f"instances_{split}.json"
    dataset = CocoDetection(str(root / "images" / split), str(annotations), transforms=transforms)
    return wrap_dataset_for_transforms_v2(dataset, **options)


def train_detector(root: Path, split: str = "train", *, steps: int = 10, batch: int = 4) -> list[float]:
    """The losses of a small torchvision detector without pretrained weights, trained on the first pictures of a split.

    One batch over and over: after a few steps the loss must fall, if boxes and labels are what the model expects.
    """
    import torch
    from torchvision.models import detection

    torch.manual_seed(0)
    dataset = detection_set(root, split)
    pictures, targets = [], []
    for picture, target in (dataset[index] for index in range(min(batch, len(dataset)))):
        # torchvision gives a picture without items no boxes at all (pytorch/vision #9162)
        boxes, labels = target.get("boxes", torch.zeros(0, 4)), target.get("labels", torch.zeros(0, dtype=torch.int64))
        pictures.append(picture)
        targets.append({"boxes": boxes, "labels": labels})
    classes = 1 + max(entry["id"] for entry in dataset.coco.dataset["categories"])
    model = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(steps):
        loss = sum(model(pictures, targets).values(), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def webdataset_samples(pattern: str) -> list[tuple[Any, dict[str, Any]]]:
    """(pixels RGB uint8, target) of every sample of the shards, read by the webdataset library in their order.

    In a process of its own, because the library leaves its files to the garbage collector, which warns.
    """
    code = (
        "import pickle, sys, webdataset\n"
        "samples = webdataset.WebDataset(sys.argv[1], shardshuffle=False).decode('rgb8').to_tuple('jpg', 'json')\n"
        "sys.stdout.buffer.write(pickle.dumps(list(samples)))\n"
    )
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", code, pattern], capture_output=True, check=False)
    assert child.returncode == 0, child.stderr.decode()
    samples: list[tuple[Any, dict[str, Any]]] = pickle.loads(child.stdout)
    return samples
