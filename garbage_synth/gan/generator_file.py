"""Generator files: exactly the network's float32 parameters as safetensors, with what they are as metadata."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from garbage_synth.compute.files import replacing
from garbage_synth.errors import InputError
from garbage_synth.gan.networks import GENERATOR_BLOCKS, Generator, GeneratorName, GeneratorSpec
from garbage_synth.gan.warp import PITCH_PX

__all__ = [
    "Direction",
    "GeneratorCard",
    "Variant",
    "card_text",
    "find_generator",
    "generator_bytes",
    "generator_file_name",
    "load_generator",
    "read_card",
    "save_generator",
]

Direction = Literal["synthetic-to-real", "real-to-synthetic"]
Variant = Literal["", "ema", "best", "best_ema"]
"""The last step's weights, their average, and what the training judged best of either."""

_KEY = "config"  # the only metadata key: with several, safetensors writes them in random order
_VERSION = 1


@dataclass(frozen=True, slots=True)
class GeneratorCard:
    """What is known of a generator file.

    resize_short_px: the shorter side that pictures had in training, which refine applies too; None = native scale.
    steps: training steps behind the weights. averaged: they are the moving average, not the last step's. warp_max_px:
    see GeneratorSpec; files that do not say are older than the generators that have it.
    """

    generator: GeneratorName
    base_channels: int
    direction: Direction
    resize_short_px: int | None
    crop_px: int
    steps: int
    averaged: bool
    warp_max_px: float = 0.0

    @property
    def spec(self) -> GeneratorSpec:
        """The shape of the network."""
        return GeneratorSpec(self.generator, self.base_channels, self.warp_max_px)


def generator_file_name(direction: Direction, variant: Variant = "") -> str:
    """Name in a run folder: generator_synthetic_to_real.safetensors, ..._ema.safetensors, ..._best_ema.safetensors."""
    return f"generator_{direction.replace('-', '_')}{'_' if variant else ''}{variant}.safetensors"


def find_generator(run_or_file: Path, direction: Direction) -> Path:
    """The generator file to use: the file itself, or a run folder's best one, else the averaged, else the raw one.

    Raises InputError where there is none.
    """
    if run_or_file.is_file():
        return run_or_file
    if not run_or_file.exists():
        raise InputError(f"generator {run_or_file} does not exist; give a train-gan run folder or a .safetensors file")
    variants: tuple[Variant, ...] = ("best_ema", "best", "ema", "")
    for variant in variants:
        path = run_or_file / generator_file_name(direction, variant)
        if path.is_file():
            return path
    raise InputError(
        f"folder {run_or_file} holds no {generator_file_name(direction)}; "
        "give a train-gan run that has written a checkpoint"
    )


def save_generator(path: Path, network: nn.Module, card: GeneratorCard) -> None:
    """Write the parameters of `network` as float32 with `card` as metadata; the same input gives the same bytes."""
    with replacing(path) as temporary:
        # not safetensors' save_file, which would make a file that only its owner reads
        temporary.write_bytes(generator_bytes(network, card))


def generator_bytes(network: nn.Module, card: GeneratorCard, dtype: torch.dtype = torch.float32) -> bytes:
    """A generator file as bytes, its parameters in the format `dtype`."""
    tensors = {
        name: parameter.detach().to("cpu", dtype).contiguous(memory_format=torch.contiguous_format)
        for name, parameter in network.named_parameters()
    }
    return save(tensors, {_KEY: card_text(card)})


def card_text(card: GeneratorCard) -> str:
    """A card as the JSON text that stands in files."""
    return json.dumps({"version": _VERSION, **asdict(card)}, sort_keys=True)


def read_card(path: Path) -> GeneratorCard:
    """What a generator file is, from its header alone. Raises InputError where it is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (OSError, SafetensorError) as error:
        raise InputError(f"generator {path} cannot be read as safetensors: {error}") from error
    if text is None:
        raise InputError(f"generator {path} has no garbage-synth metadata; give a file that train-gan wrote")
    try:
        return _parse_card(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"generator {path} has metadata this program cannot use: {error!r}") from error


def load_generator(path: Path) -> tuple[Generator, GeneratorCard]:
    """The network of a generator file on the CPU in float32 (also where stored in half precision), and its card.

    Raises InputError where the file is damaged, foreign, or its weights do not fit its card.
    """
    card = read_card(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
        network = card.spec.build()
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"generator {path} does not hold the weights its metadata promises, for it is damaged or another version "
            f"wrote it: train it again ({_first_line(error)})"
        ) from error
    return network.requires_grad_(False).eval(), card


def _parse_card(fields: dict[str, Any]) -> GeneratorCard:
    fields = dict(fields)
    if fields.pop("version") != _VERSION:
        raise ValueError(f"version other than {_VERSION}")
    card = GeneratorCard(**fields)
    if card.generator not in GENERATOR_BLOCKS or card.direction not in get_args(Direction):
        raise ValueError(f"unknown generator {card.generator!r} or direction {card.direction!r}")
    if not 1 <= card.base_channels <= 512 or (card.resize_short_px is not None and card.resize_short_px < 1):
        raise ValueError(f"base_channels {card.base_channels} or resize_short_px {card.resize_short_px} out of range")
    if not 0 <= card.warp_max_px < PITCH_PX / 4:
        raise ValueError(f"warp_max_px {card.warp_max_px} out of range")
    return card


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
