"""`export-generator`: a trained generator as a file for other runtimes, compared with the network it came from."""

from pathlib import Path
from typing import Any, cast, get_args

from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError, OutputExistsError
from garbage_synth.gan.generator_export import COMPARED_HW, ExportFormat, exported, largest_difference, reader
from garbage_synth.gan.generator_file import Direction, find_generator, load_generator
from garbage_synth.io.atomic import write_bytes

__all__ = ["export_generator"]

_BY_SUFFIX: dict[str, ExportFormat] = {".onnx": "onnx", ".pt2": "pt2", ".safetensors": "safetensors-fp16"}

_MOST_LEVELS: dict[ExportFormat, float] = {"onnx": 1.0, "pt2": 1.0, "safetensors-fp16": 8.0}
_MOST_PX = 0.1


def export_generator(
    run_or_file: Path,
    out: Path,
    *,
    direction: str = "synthetic-to-real",
    format: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Write the generator of a run folder of train-gan, or a generator file, to the file `out`.

    direction: which generator of a run; a file has its own. format: onnx (for ONNX Runtime and others), pt2
    (torch.export) or safetensors-fp16 (for refine, of half the size); None = by the ending of `out`, which must be
    .onnx, .pt2 or .safetensors. onnx and pt2 take pictures float32 (1, 3, h, w) in [-1, 1], sides being multiples of 4
    from 36 on, and give the translated picture; a generator that deforms gives its displacement too.

    What was written is read back and compared with the network at two sizes; the largest difference stands in the
    summary. Nothing is left behind where it is more than a gray level (8 in half precision).

    Raises InputError for a generator that cannot be used or an unknown format, OutputExistsError where `out` exists and
    overwrite is not given, MissingDependencyError where the packages for onnx are absent, and GarbageSynthError where
    the exported generator differs too much.
    """
    progress = progress or NullProgress()
    if direction not in get_args(Direction):
        raise InputError(f"--direction {direction!r} is unknown; give {' or '.join(get_args(Direction))}")
    kind = _format(format, out)
    weights = find_generator(run_or_file, cast(Direction, direction))
    _refuse_loss(weights, run_or_file, out, overwrite)
    network, card = load_generator(weights)
    warnings = []
    if card.direction != direction:
        warnings.append(
            f"generator {weights} is one for {card.direction}; --direction {direction} does not apply to a file"
        )
    for warning in warnings:
        progress.message(f"warning: {warning}")
    progress.message(f"exporting {weights.name} as {kind}")
    data = exported(network, card, kind)
    levels, pixels = largest_difference(network, reader(data, card, kind))
    if levels > _MOST_LEVELS[kind] or (pixels or 0.0) > _MOST_PX:
        moved = "" if pixels is None else f" and {pixels:.2g} pixels of displacement"
        raise GarbageSynthError(
            f"{weights} exported as {kind} differs by {levels:.3g} gray levels{moved} from the network itself; "
            f"nothing was written to {out}; try another --format"
        )
    write_bytes(out, data)
    numbers: dict[str, Any] = {
        "compared_at": [f"{width}x{height}" for height, width in COMPARED_HW],
        "format": kind,
        "generator": weights.name,
        "largest_difference_levels": float(f"{levels:.3g}"),
        "resize_short_px": card.resize_short_px,
        "size_mb": round(len(data) / 1e6, 2),
    }
    if pixels is not None:
        numbers["largest_difference_px"] = float(f"{pixels:.3g}")
    return StageSummary("export-generator", out, numbers, tuple(warnings))


def _format(given: str | None, out: Path) -> ExportFormat:
    known = ", ".join(get_args(ExportFormat))
    if given is not None:
        if given not in get_args(ExportFormat):
            raise InputError(f"--format {given!r} is unknown; give one of {known}")
        return cast(ExportFormat, given)
    kind = _BY_SUFFIX.get(out.suffix.lower())
    if kind is None:
        raise InputError(f"the ending of --out {out} tells no format; give --format, one of {known}")
    return kind


def _refuse_loss(weights: Path, run_or_file: Path, out: Path, overwrite: bool) -> None:
    if out.resolve() == weights.resolve():
        raise InputError(f"output {out} is the generator itself; choose another --out")
    if run_or_file.is_dir() and out.resolve().is_relative_to(run_or_file.resolve()):
        raise InputError(f"output {out} lies inside the run folder {run_or_file}; choose another --out")
    if out.is_dir():
        raise InputError(f"output {out} is a folder, a file was expected")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"output {out} exists; give --overwrite to replace it, or another --out")
