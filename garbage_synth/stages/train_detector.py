"""`train-detector`: a small detector on a dataset, as a yardstick of what the dataset is worth."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from garbage_synth.compute.checkpoint import checkpoint_steps
from garbage_synth.compute.device import (
    choose_device,
    choose_precision,
    computing_threads,
    cudnn,
    describe,
    is_out_of_memory,
    out_of_memory,
)
from garbage_synth.config.base import dump_config
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.core.types import Annotation, Split
from garbage_synth.detect.detector import take_weights
from garbage_synth.detect.models import build_detector
from garbage_synth.detect.samples import GREY, LabelledPicture, Sample, Samples, canvas_hw
from garbage_synth.detect.training import DetectorPlan, train_detector_network
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes, write_text
from garbage_synth.io.dataset import chosen_split, read_dataset, split_files
from garbage_synth.io.images import encode_jpeg, read_rgb
from garbage_synth.io.output import SETTINGS_FILE, OutputFolder, fingerprint, open_output
from garbage_synth.io.pictures import locate_pictures
from garbage_synth.io.records import STATS_FILE, append_record, keep_records
from garbage_synth.report.draw import class_colour
from garbage_synth.run.local import spare_workers

__all__ = ["train_detector"]

SAMPLES_FILE = "training_samples.jpg"

_EPOCHS = 40
_FEW_ITERATIONS = 200
_READERS = 4
_SHEET = (3, 4)  # rows and columns of the sheet of samples


def train_detector(
    dataset: Path,
    out: Path,
    *,
    model: str = "fcos-small",
    epochs: int | None = None,
    iterations: int | None = None,
    split: str | None = None,
    weights: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    config: DetectorConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Train a detector on a split of `dataset` and leave it in the run folder `out`.

    It is a yardstick: small, from random weights, on a fixed schedule, to compare datasets by. dataset: a folder or
    COCO file, of which split (default: train, or the only one) is used; crowd regions and boxes without an area are no
    targets. model: fcos-small learns fastest; ssdlite, retinanet-resnet18 and fasterrcnn-mobilenet are torchvision's.
    epochs or iterations: the whole schedule (default 40 epochs); to compare datasets of different sizes give the same
    iterations. weights: a file whose tensors are taken where name and shape fit, instead of random ones. Nothing is
    downloaded. device: auto, cpu, cuda or cuda:<index>. precision: auto (fp32 on every device), fp32 or bf16.
    On a GPU samples are prepared by new processes, which import the calling script: call it under
    `if __name__ == "__main__":`, or with loader_workers=0.

    The run folder: detector.safetensors (averaged weights, classes and settings), checkpoint.pt, stats.jsonl,
    training_samples.jpg (what the network is shown), config.yaml.

    Raises InputError for wrong values, a split without items and pictures that cannot be read, GarbageSynthError where
    the training breaks or memory runs out.
    """
    progress = progress or NullProgress()
    config = config or DetectorConfig()
    if epochs is not None and iterations is not None:
        raise InputError("--epochs and --iterations contradict each other; give one of them")
    for name, value in (("epochs", epochs), ("iterations", iterations)):
        if value is not None and value < 1:
            raise InputError(f"--{name} {value} must be at least 1")
    chosen = choose_device(device)
    # a yardstick measures alike everywhere
    kind = "fp32" if precision == "auto" else choose_precision(precision, chosen)
    if not 0 <= seed < 2**63:
        raise InputError(f"--seed {seed} must be from 0 to {2**63 - 1}")
    known = read_dataset(dataset)
    split = chosen_split(dataset, known.splits, split, ("train",))
    files = split_files(dataset)[split]
    known = replace(known, splits={split: known.splits[split]})
    paths = locate_pictures(dataset, known)
    pictures = _labelled(known.splits[split], tuple(known.categories), {key: path for (_, key), path in paths.items()})
    items = sum(len(picture.classes) for picture in pictures)
    if not items:
        raise InputError(f"{files.annotations} has no boxes to learn from; give a dataset with labels")
    class_names = tuple(known.categories.values())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_detector(model, len(class_names), config)
    taken = take_weights(network, weights) if weights else None
    per_epoch = -(-len(pictures) // config.batch)
    total = iterations or per_epoch * (epochs or _EPOCHS)

    records = known.splits[split].images
    identity = {
        "annotations": fingerprint([files.annotations]),
        "config": config.model_dump(mode="json", exclude=set(config.without_effect)),
        "iterations": total,
        "model": model,
        "pictures": fingerprint(list(paths.values())),
        "precision": precision,
        "seed": seed,
        "split": split,
        "weights": fingerprint([weights]) if weights else None,
    }
    plan = DetectorPlan(
        model=model,
        class_names=class_names,
        config=config,
        iterations=total,
        size_hw=canvas_hw([(record.width, record.height) for record in records], config.image_px),
        seed=seed,
        device=chosen,
        precision=kind,
        loader_workers=_loader_workers(config, chosen),
    )

    def opened(*, only_look: bool) -> OutputFolder:
        return open_output(
            out,
            stage="train-detector",
            identity=identity,
            inputs=[dataset, *([weights] if weights else [])],
            beside=sorted({path.parent for path in paths.values()}),
            overwrite=overwrite,
            resume=resume,
            dry_run=only_look,
            progress=progress,
        )

    output = opened(only_look=True)
    if output.finished:
        return StageSummary("train-detector", out, output.numbers, open_file=out / SAMPLES_FILE)
    numbers: dict[str, Any] = {
        "classes": len(class_names),
        "epochs": round(total * config.batch / len(pictures), 2),
        "images": len(pictures),
        "items": items,
        "iterations": total,
        "model": model,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sample_px": f"{plan.size_hw[1]}x{plan.size_hw[0]}",
    }
    warnings = []
    if total < _FEW_ITERATIONS:
        warnings.append(f"{total} iterations are too few to learn from random weights; hundreds at least")
    progress.message(
        f"a yardstick, not a product: {model} ({numbers['parameters'] / 1e6:.1f} M parameters) on {len(pictures)} "
        f"pictures with {items} items of {len(class_names)} classes, {total:,} iterations of {config.batch}"
        + (f", {taken[0]} of its {taken[1]} tensors from {weights}" if taken else "")
    )
    if dry_run:
        return StageSummary("train-detector", out, numbers, tuple(warnings))

    _read_all(pictures, progress)
    output = opened(only_look=False)
    steps = checkpoint_steps(out)
    keep_records(out / STATS_FILE, key="iteration", up_to=steps[0] if steps else 0)
    write_text(out / SETTINGS_FILE, dump_config(config))
    write_bytes(out / SAMPLES_FILE, encode_jpeg(_sheet(pictures, plan)))

    def record(iteration: int, values: dict[str, float]) -> None:
        append_record(out / STATS_FILE, {"iteration": iteration, **values})

    try:
        on_gpu = [chosen] if chosen.type == "cuda" else []
        with computing_threads(config.threads), torch.random.fork_rng(devices=on_gpu), cudnn(benchmark=True):
            numbers["device"] = describe(chosen, kind)
            trained = train_detector_network(network, pictures, plan, folder=out, record=record, progress=progress)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(
            f"while training {model} on {chosen}", f"give --set batch={max(1, config.batch // 2)} or a smaller image_px"
        ) from error
    numbers |= {
        "losses": {name: round(value, 4) for name, value in trained.losses.items()},
        "seconds": round(trained.seconds, 1),
        "seconds_per_iteration": round(trained.seconds / total, 4),
    }
    output.finish(numbers)
    return StageSummary("train-detector", out, numbers, tuple(warnings), out / SAMPLES_FILE)


def _loader_workers(config: DetectorConfig, device: torch.device) -> int:
    """Processes that prepare samples: as the settings say, else none on a CPU, which computes itself."""
    if config.loader_workers is not None:
        return config.loader_workers
    return 0 if device.type == "cpu" else spare_workers(1)


def _labelled(split: Split, categories: Sequence[int], paths: Mapping[int, Path]) -> list[LabelledPicture]:
    """The pictures of a split in the order of their ids."""
    boxes: dict[int, list[Annotation]] = {}
    for annotation in split.annotations:
        if not annotation.iscrowd and min(annotation.bbox_xywh[2:]) > 0:
            boxes.setdefault(annotation.image_id, []).append(annotation)
    pictures = []
    for record in split.images:
        own = boxes.get(record.id, [])
        corners = np.array([annotation.bbox_xywh for annotation in own], np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        corners = corners.clip(0, [record.width, record.height] * 2)  # where a label hangs over the edge
        within = (corners[:, 2:] > corners[:, :2]).all(1)
        classes = np.array([categories.index(annotation.category_id) for annotation in own], np.int64)
        pictures.append(LabelledPicture(partial(read_rgb, paths[record.id]), corners[within], classes[within]))
    return pictures


def _read_all(pictures: Sequence[LabelledPicture], progress: Progress) -> None:
    """Raises InputError for the first picture that cannot be decoded: now rather than hours later."""
    progress.start("reading pictures", len(pictures))
    with ThreadPoolExecutor(_READERS) as pool:
        for _ in pool.map(lambda picture: picture.read().shape, pictures):
            progress.advance()


def _sheet(pictures: list[LabelledPicture], plan: DetectorPlan) -> NDArray[np.uint8]:
    """The first samples with their boxes, side by side."""
    rows, columns = _SHEET
    samples = Samples(
        pictures,
        plan.config.augment,
        image_px=plan.config.image_px,
        size_hw=plan.size_hw,
        seed=plan.seed,
        first=0,
        stop=rows * columns,
        cache_bytes=0,
    )
    drawn = [_drawn(samples[index]) for index in range(rows * columns)]
    return np.vstack([np.hstack(drawn[row * columns : (row + 1) * columns]) for row in range(rows)])


def _drawn(sample: Sample) -> NDArray[np.uint8]:
    import cv2

    canvas = np.ascontiguousarray(sample.picture.numpy().transpose(1, 2, 0))
    for box, category in zip(sample.boxes.tolist(), sample.classes.tolist(), strict=True):
        x0, y0, x1, y1 = (round(edge) for edge in box)
        cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), class_colour(category), 1)
    canvas[-2:], canvas[:, -2:] = GREY, GREY
    return canvas
