"""Generators for other runtimes: what they write, and how far what is read back differs from the network itself."""

import io
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from safetensors.torch import load
from torch import Tensor, nn

from garbage_synth.core.rng import rng_for
from garbage_synth.errors import GarbageSynthError, MissingDependencyError
from garbage_synth.gan.generator_file import GeneratorCard, card_text, generator_bytes
from garbage_synth.gan.networks import SIDE_MULTIPLE, Generator

__all__ = ["COMPARED_HW", "EXPORT_MIN_SIDE", "ExportFormat", "Outputs", "exported", "largest_difference", "reader"]

ExportFormat = Literal["onnx", "pt2", "safetensors-fp16"]

EXPORT_MIN_SIDE = 36
"""Smallest side of a picture that an exported graph takes: it knows no grid of a single control point."""

COMPARED_HW = ((64, 96), (100, 36))
"""Sizes at which an exported generator is compared; none is that of the example it is made from."""

Outputs = tuple[Tensor, ...]
"""The translated picture, float32 (1, 3, h, w) within [-1, 1], and from generators that deform it the displacement,
float32 (1, 2, h, w) in pixels."""

_EXAMPLE_HW = (72, 104)
_CARD = "garbage-synth.json"


class _Exported(nn.Module):
    """A generator as it stands in a file: its picture clamped, its displacement beside it where there is one."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Outputs:
        picture, displacement = self.network.with_displacement(image)
        picture = picture.clamp(-1, 1)
        return (picture,) if displacement is None else (picture, displacement)


def exported(network: Generator, card: GeneratorCard, kind: ExportFormat) -> bytes:
    """The bytes of a file of this kind, with the card as metadata.

    onnx and pt2 take float32 (1, 3, h, w) in [-1, 1], h and w multiples of 4 from EXPORT_MIN_SIDE, and give `Outputs`;
    the names in ONNX are image, picture, displacement. safetensors-fp16 is a generator file for refine, half as large.

    Raises MissingDependencyError where ONNX is asked for and its packages are absent.
    """
    if kind == "safetensors-fp16":
        return generator_bytes(network, card, torch.float16)
    if kind == "onnx":
        _require_onnx()
    sides = {
        2 + axis: SIDE_MULTIPLE * torch.export.Dim(name, min=EXPORT_MIN_SIDE // SIDE_MULTIPLE)
        for axis, name in enumerate(("h", "w"))
    }
    program = torch.export.export(_Exported(network), (torch.zeros(1, 3, *_EXAMPLE_HW),), dynamic_shapes=(sides,))
    if kind == "pt2":
        stream = io.BytesIO()
        torch.export.save(program, stream, extra_files={_CARD: card_text(card)})
        return stream.getvalue()
    names = ["picture", "displacement"] if card.spec.deforms else ["picture"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        made = torch.onnx.export(program, (), dynamo=True, verbose=False, input_names=["image"], output_names=names)
    assert made is not None
    made.model.metadata_props[_CARD] = card_text(card)
    data: bytes = made.model_proto.SerializeToString()
    return data


def reader(data: bytes, card: GeneratorCard, kind: ExportFormat) -> Callable[[Tensor], Outputs]:
    """What the bytes of an exported file compute, as they are read back (ONNX by onnxruntime, on the CPU)."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

        def run(image: Tensor) -> Outputs:
            return tuple(torch.from_numpy(output) for output in session.run(None, {"image": image.numpy()}))

        return run
    network: Any
    if kind == "pt2":
        network = torch.export.load(io.BytesIO(data)).module()
    else:
        read = card.spec.build()
        read.load_state_dict({name: tensor.float() for name, tensor in load(data).items()})
        network = _Exported(read.requires_grad_(False))
    return lambda image: network(image)


def largest_difference(network: Generator, run: Callable[[Tensor], Outputs]) -> tuple[float, float | None]:
    """(largest difference of any value in gray levels, of any displacement in pixels) at the sizes of COMPARED_HW.

    None for a generator that tells no displacement. Raises GarbageSynthError where the outputs are of other sizes.
    """
    own = _Exported(network)
    levels, pixels = 0.0, None
    for index, (height, width) in enumerate(COMPARED_HW):
        values = rng_for(0, "export-generator.compare", "", index).uniform(-1, 1, (1, 3, height, width))
        image = torch.from_numpy(values).float()
        with torch.inference_mode():
            expected, got = own(image), run(image)
        if [tuple(output.shape) for output in got] != [tuple(output.shape) for output in expected]:
            raise GarbageSynthError(
                f"the exported generator gives {[tuple(output.shape) for output in got]} for {width}x{height} pixels"
            )
        differences = [_largest((a - b).abs()) for a, b in zip(expected, got, strict=True)]
        levels = max(levels, differences[0] * 127.5)
        if len(differences) > 1:
            pixels = max(pixels or 0.0, differences[1])
    return levels, pixels


def _largest(values: Tensor) -> float:
    return float(values.nan_to_num(nan=torch.inf).max())


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"format onnx needs the optional packages onnx, onnxscript and onnxruntime ({error}); "
            "install them: pip install 'garbage-synth[onnx]'"
        ) from error
