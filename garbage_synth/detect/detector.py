"""A trained detector: its file, and asking it about pictures of any size."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from garbage_synth.compute.files import replacing
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.detect.detections import Detections, by_score
from garbage_synth.detect.models import DETECTORS, build_detector, first_label
from garbage_synth.detect.samples import padded, scaled
from garbage_synth.errors import InputError

__all__ = ["DETECTOR_FILE", "Detector", "DetectorCard", "load_detector", "save_detector", "take_weights"]

DETECTOR_FILE = "detector.safetensors"

_KEY = "config"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class DetectorCard:
    """What is known of a detector file. class_names: in the order of the network's classes; config: its settings."""

    model: str
    class_names: tuple[str, ...]
    iterations: int
    config: DetectorConfig


class Detector:
    """Finds items in pictures. class_names: what the indices in `Detections.classes` mean."""

    def __init__(self, network: nn.Module, card: DetectorCard, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._device = device
        self._first_label = first_label(card.model)
        self.card = card

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the network's outputs."""
        return self.card.class_names

    @torch.no_grad()
    def detect(self, pictures_rgb: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """What is found in each RGB uint8 (h, w, 3), in its own pixels, computed in float32 (the same everywhere).

        Pictures of one size go through the network together: few at a time keep memory small.
        """
        small = [scaled(picture, self.card.config.image_px) for picture in pictures_rgb]
        canvases = [torch.from_numpy(padded(picture).transpose(2, 0, 1)) for picture in small]
        found: dict[int, Detections] = {}
        # the network's own padding would make what it sees depend on the other pictures of its batch
        by_size = sorted(range(len(canvases)), key=lambda index: tuple(canvases[index].shape))
        for _, members in groupby(by_size, key=lambda index: tuple(canvases[index].shape)):
            alike = list(members)
            inputs = [canvases[index].to(self._device).float() / 255 for index in alike]
            for index, result in zip(alike, self._network(inputs), strict=True):
                found[index] = self._in_picture(result, small[index].shape, pictures_rgb[index].shape)
        return [found[index] for index in range(len(canvases))]

    def _in_picture(self, result: dict[str, Tensor], small: Sequence[int], shape: Sequence[int]) -> Detections:
        """The network's result in the pixels of the picture on disk, cut to it."""
        height, width = shape[:2]
        ratio = np.array([width / small[1], height / small[0]] * 2)
        boxes = result["boxes"].float().cpu().numpy().astype(np.float64) * ratio
        boxes = np.clip(boxes, 0, [width, height, width, height])
        classes = result["labels"].cpu().numpy() - self._first_label
        detections = by_score(boxes, classes, result["scores"].float().cpu().numpy())
        sides = detections.boxes_xyxy[:, 2:] - detections.boxes_xyxy[:, :2]
        return detections.at(np.flatnonzero((sides > 0).all(1)))


def save_detector(folder: Path, network: nn.Module, card: DetectorCard) -> None:
    """Write the network's weights and its card to folder/detector.safetensors."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    fields = {**asdict(card), "config": card.config.model_dump(mode="json"), "version": _VERSION}
    with replacing(folder / DETECTOR_FILE) as temporary:
        temporary.write_bytes(save(tensors, {_KEY: json.dumps(fields, sort_keys=True)}))


def load_detector(run: Path, device: torch.device) -> Detector:
    """The detector of a train-detector run folder, or of its .safetensors file.

    Raises InputError where there is none, and where the file is damaged or foreign.
    """
    path = run / DETECTOR_FILE if run.is_dir() else run
    if not path.is_file():
        raise InputError(f"{run} holds no {DETECTOR_FILE}; give the run folder of a finished train-detector")
    try:
        with safe_open(path, framework="pt") as file:
            card = _parse_card(json.loads((file.metadata() or {})[_KEY]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        network = build_detector(card.model, len(card.class_names), card.config)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"detector {path} cannot be used ({reason}); give a file that train-detector wrote") from error
    return Detector(network, card, device)


def take_weights(network: nn.Module, path: Path) -> tuple[int, int]:
    """Put the tensors of a file that fit by name and shape into the network: how many did, and how many it has.

    path: .safetensors, or what torch.save wrote of a state_dict (read without executing code), of a whole detector or
    of a backbone such as torchvision's resnet18. Raises InputError where the file cannot be read or nothing fits.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                given = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        else:
            given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever the bytes make it raise
        raise InputError(f"weights {path} cannot be read: {type(error).__name__}; give a state_dict") from error
    own = network.state_dict()
    prefixes = ("", "backbone.", "backbone.body.")
    fitting = {
        prefix + name: tensor
        for prefix in prefixes
        for name, tensor in (given.items() if isinstance(given, dict) else ())
        if isinstance(tensor, Tensor) and prefix + name in own and own[prefix + name].shape == tensor.shape
    }
    if not fitting:
        raise InputError(f"weights {path}: no tensor fits the detector by name and shape; is it for another --model?")
    network.load_state_dict(fitting, strict=False)
    return len(fitting), len(own)


def _parse_card(fields: dict[str, Any]) -> DetectorCard:
    if fields["version"] != _VERSION or fields["model"] not in DETECTORS:
        raise ValueError(f"version {fields['version']} or model {fields['model']!r} is unknown to this program")
    return DetectorCard(
        fields["model"],
        tuple(fields["class_names"]),
        int(fields["iterations"]),
        DetectorConfig.model_validate(fields["config"]),
    )
