"""Training a detector: a fixed number of iterations, resumed to the bit."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from garbage_synth.compute.average import averaged_copy, update_average
from garbage_synth.compute.checkpoint import load_checkpoint, save_checkpoint
from garbage_synth.compute.device import Precision
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.core.progress import Progress
from garbage_synth.core.rng import rng_for
from garbage_synth.detect.detector import DetectorCard, save_detector
from garbage_synth.detect.models import first_label
from garbage_synth.detect.samples import LabelledPicture, Sample, Samples
from garbage_synth.errors import GarbageSynthError

__all__ = ["DetectorPlan", "Trained", "learning_rate", "train_detector_network"]

Record = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class DetectorPlan:
    """What is trained, and how long. size_hw: of samples, multiples of 32; iterations: of the whole schedule;
    loader_workers: processes that prepare samples, 0 = none."""

    model: str
    class_names: tuple[str, ...]
    config: DetectorConfig
    iterations: int
    size_hw: tuple[int, int]
    seed: int
    device: torch.device
    precision: Precision
    loader_workers: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training took and came to. seconds: of all iterations, those before an interruption too; losses: means of
    the last logged iterations."""

    seconds: float
    losses: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Samples together, each kind in one array: one copy to a GPU, and no shared memory between processes, which
    containers have little of. pictures: uint8 (b, 3, h, w); boxes: float32 (n, 4) and classes: int64 (n,) of all b
    samples, items: how many each of them has."""

    pictures: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    items: list[int]


def train_detector_network(
    network: nn.Module,
    pictures: Sequence[LabelledPicture],
    plan: DetectorPlan,
    *,
    folder: Path,
    record: Record,
    progress: Progress,
) -> Trained:
    """Train `network` from the checkpoint in `folder`, or from its weights as they are.

    AdamW (Loshchilov and Hutter 2019) with a rising, then cosine rate; the moving average of the weights is what is
    kept in folder/detector.safetensors. On a CPU, a training that was interrupted and taken up again ends with the same
    bits as one that was not. record: told (iteration, means of the losses since the last line).

    Raises GarbageSynthError where a loss is no longer finite.
    """
    config = plan.config
    # Module.to knows memory_format, its type stub does not
    network.to(plan.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = averaged_copy(network)
    adam = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True)
    first, trained = _take_up(network, average, adam, folder)
    loader = _loader(pictures, plan, first)
    window: list[dict[str, Tensor]] = []
    saved, began = first, time.monotonic() - trained.seconds
    progress.start("train-detector", plan.iterations - first)
    for done, batch in enumerate(_one_line_errors(loader), start=first + 1):
        # torchvision's two-stage detectors draw which proposals they learn from
        torch.manual_seed(int(rng_for(plan.seed, "train-detector", "step", done).integers(2**63)))
        for group in adam.param_groups:
            group["lr"] = learning_rate(done - 1, plan.iterations, config)
        losses = _losses(network, batch, plan)
        adam.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        adam.step()
        update_average(average, network, step=done - 1, decay=config.ema_decay)
        window.append({name: loss.detach() for name, loss in losses.items()})
        last = done == plan.iterations
        if done % config.log_every and not last:
            progress.advance()
            continue
        trained = Trained(time.monotonic() - began, _means(window, done, plan))
        record(done, {**trained.losses, "learning_rate": learning_rate(done - 1, plan.iterations, config)})
        window.clear()
        if done - saved >= config.checkpoint_every or last:
            saved = done
            state = {"adam": adam.state_dict(), "average": average.state_dict(), "network": network.state_dict()}
            told = {"losses": dict(trained.losses), "seconds": trained.seconds}
            save_checkpoint(folder, {"step": done, "total_steps": plan.iterations, **told, **state})
        progress.advance()
    save_detector(folder, average, DetectorCard(plan.model, plan.class_names, plan.iterations, config))
    return trained


def learning_rate(step: int, total: int, config: DetectorConfig) -> float:
    """The rate of step 0, 1, ...: rises linearly over the warm-up, then falls as half a cosine to a hundredth."""
    warm = config.warmup_fraction * total
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    done = (step - warm) / max(1.0, total - warm)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _losses(network: nn.Module, batch: _Batch, plan: DetectorPlan) -> dict[str, Tensor]:
    """The network's own losses of a batch."""
    levels, boxes, classes = (
        torch.from_numpy(values).to(plan.device) for values in (batch.pictures, batch.boxes, batch.classes)
    )
    pictures = list(levels.float() / 255)
    own = torch.split(boxes, batch.items), torch.split(classes + first_label(plan.model), batch.items)
    targets = [{"boxes": place, "labels": name} for place, name in zip(*own, strict=True)]
    with torch.autocast(plan.device.type, dtype=torch.bfloat16, enabled=plan.precision == "bf16"):
        losses: dict[str, Tensor] = network(pictures, targets)
    return losses


def _together(samples: Sequence[Sample]) -> _Batch:
    return _Batch(
        torch.stack([sample.picture for sample in samples]).numpy(),
        torch.cat([sample.boxes for sample in samples]).numpy(),
        torch.cat([sample.classes for sample in samples]).numpy(),
        [len(sample.classes) for sample in samples],
    )


def _loader(pictures: Sequence[LabelledPicture], plan: DetectorPlan, first: int) -> DataLoader[Sample]:
    """Batches first, first + 1, ... of the training, as `_Batch`."""
    config, workers = plan.config, plan.loader_workers
    samples = Samples(
        pictures,
        config.augment,
        image_px=config.image_px,
        size_hw=plan.size_hw,
        seed=plan.seed,
        first=first * config.batch,
        stop=plan.iterations * config.batch,
        cache_bytes=int(config.cache_gb * 2**30 / max(1, workers)),
    )
    return DataLoader(
        samples,
        batch_size=config.batch,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        collate_fn=_together,
        worker_init_fn=_one_opencv_thread if workers else None,
    )


def _one_opencv_thread(worker: int) -> None:
    cv2.setNumThreads(1)


def _one_line_errors(loader: DataLoader[Sample]) -> Iterator[_Batch]:
    """Batches; what a worker process raised comes as the one line that it said."""
    try:
        yield from loader
    except GarbageSynthError as error:
        last = [line for line in str(error).splitlines() if line.strip()][-1]
        raise type(error)(last.partition("Error: ")[2] or last) from error


def _means(window: Sequence[dict[str, Tensor]], done: int, plan: DetectorPlan) -> dict[str, float]:
    """The mean of every loss. Raises GarbageSynthError where one is not finite."""
    names = sorted(window[-1])
    values = torch.stack([torch.stack([losses[name] for name in names]) for losses in window]).mean(0).tolist()
    means = dict(zip(names, values, strict=True))
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        remedy = "" if plan.precision == "fp32" else " --precision fp32 or"
        raise GarbageSynthError(
            f"training broke before iteration {done:,}: {', '.join(bad)} is not finite; try{remedy} a smaller learning "
            f"rate (--set learning_rate={plan.config.learning_rate / 2:g})"
        )
    return means


def _take_up(network: nn.Module, average: nn.Module, adam: torch.optim.Optimizer, folder: Path) -> tuple[int, Trained]:
    """Load the checkpoint where there is one: the iterations done, and what they took."""
    state: dict[str, Any] | None = load_checkpoint(folder)
    if state is None:
        return 0, Trained(0.0, {})
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    adam.load_state_dict(state["adam"])
    return int(state["step"]), Trained(float(state["seconds"]), dict(state["losses"]))
