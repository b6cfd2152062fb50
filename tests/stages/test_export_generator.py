"""Generators as files for other runtimes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from garbage_synth.errors import GarbageSynthError, InputError, MissingDependencyError, OutputExistsError
from garbage_synth.gan import generator_export
from garbage_synth.gan.generator_export import largest_difference
from garbage_synth.gan.generator_file import GeneratorCard, load_generator, save_generator
from garbage_synth.gan.networks import GENERATOR_BLOCKS, Generator, GeneratorName
from garbage_synth.stages.export_generator import export_generator

SIZES_HW = ((136, 40), (68, 100))


def make(path: Path, name: GeneratorName = "warp6", direction: str = "synthetic-to-real") -> Path:
    card = GeneratorCard(name, 2, direction, 286, 64, 7, False, 4.0 if name == "warp6" else 0.0)  # type: ignore[arg-type]
    network = card.spec.build()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.2)
    save_generator(path, network, card)
    return path


def translated(path: Path, image: torch.Tensor) -> list[np.ndarray]:
    outputs = load_generator(path)[0].with_displacement(image)
    return [
        output.clamp(-1, 1).numpy() if index == 0 else output.numpy()
        for index, output in enumerate(outputs)
        if output is not None
    ]


def check_outputs(got: Any, path: Path, image: torch.Tensor) -> None:
    expected = translated(path, image)
    assert len(got) == len(expected)
    for own, other in zip(got, expected, strict=True):
        assert np.asarray(own).shape == other.shape
        assert np.abs(np.asarray(own) - other).max() < 1e-3


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generators of one residual block: the exporters take seconds for each."""
    for name in ("resnet6", "warp6"):
        monkeypatch.setitem(GENERATOR_BLOCKS, name, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("shallow")
def test_onnx_file_takes_pictures_of_any_size(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    source = make(tmp_path / "g.safetensors")
    summary = export_generator(source, tmp_path / "g.onnx")
    assert summary.numbers["largest_difference_levels"] < 0.1
    assert summary.numbers["largest_difference_px"] < 0.01
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["image"]
    assert [entry.name for entry in session.get_outputs()] == ["picture", "displacement"]
    for size_hw in SIZES_HW:
        image = torch.rand(1, 3, *size_hw) * 2 - 1
        check_outputs(session.run(None, {"image": image.numpy()}), source, image)
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "g.onnx").metadata_props}
    assert json.loads(metadata["garbage-synth.json"])["resize_short_px"] == 286


@pytest.mark.slow
@pytest.mark.usefixtures("shallow")
def test_pt2_file_of_a_generator_of_the_paper_takes_pictures_of_any_size(tmp_path: Path) -> None:
    source = make(tmp_path / "g.safetensors", "resnet6")
    summary = export_generator(source, tmp_path / "g.pt2")
    assert summary.numbers["largest_difference_levels"] < 0.1
    assert "largest_difference_px" not in summary.numbers
    extra = {"garbage-synth.json": ""}
    program = torch.export.load(tmp_path / "g.pt2", extra_files=extra).module()
    for size_hw in SIZES_HW:
        image = torch.rand(1, 3, *size_hw) * 2 - 1
        check_outputs(program(image), source, image)
    assert json.loads(extra["garbage-synth.json"])["generator"] == "resnet6"


def test_half_precision_file_is_half_as_large_and_a_generator_all_the_same(tmp_path: Path) -> None:
    source = make(tmp_path / "g.safetensors")
    summary = export_generator(source, tmp_path / "half.safetensors")
    assert 0 < summary.numbers["largest_difference_levels"] < 8
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * source.stat().st_size
    network, card = load_generator(tmp_path / "half.safetensors")
    assert card == load_generator(source)[1]
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    difference = network(image) - load_generator(source)[0](image)
    assert 0 < difference.abs().mean() < 0.02
    again = export_generator(source, tmp_path / "other", format="safetensors-fp16")
    assert again.numbers["format"] == "safetensors-fp16"
    assert (tmp_path / "other").read_bytes() == (tmp_path / "half.safetensors").read_bytes()


@pytest.mark.parametrize("output", [0, 1])
def test_file_that_computes_something_else_is_not_left(
    output: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = generator_export.reader

    def wrong(*arguments: Any) -> Any:
        run = inner(*arguments)
        return lambda image: tuple(own + 0.2 * (index == output) for index, own in enumerate(run(image)))

    monkeypatch.setattr("garbage_synth.stages.export_generator.reader", wrong)
    out = tmp_path / "half.safetensors"
    with pytest.raises(GarbageSynthError, match="gray levels and .* pixels of displacement from the network itself"):
        export_generator(make(tmp_path / "g.safetensors"), out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.safetensors"]


def test_weights_that_half_precision_does_not_hold_are_no_success(tmp_path: Path) -> None:
    source = make(tmp_path / "g.safetensors", "resnet6")
    network, card = load_generator(source)
    with torch.no_grad():
        next(network.parameters()).fill_(1e6)
    save_generator(source, network, card)
    with pytest.raises(GarbageSynthError, match="inf gray levels"):
        export_generator(source, tmp_path / "half.safetensors")


def test_difference_is_that_of_the_worst_value_and_sizes_must_agree(tmp_path: Path) -> None:
    network: Generator = load_generator(make(tmp_path / "g.safetensors"))[0]

    def off_by_a_level(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        picture, displacement = network.with_displacement(image)
        assert displacement is not None
        picture = picture.clamp(-1, 1)
        picture[..., 3, 5] += 2 / 255
        return picture, displacement + 0.01

    levels, pixels = largest_difference(network, off_by_a_level)
    assert levels == pytest.approx(1, abs=1e-3)
    assert pixels == pytest.approx(0.01, abs=1e-4)
    with pytest.raises(GarbageSynthError, match="gives"):
        largest_difference(network, lambda image: (image,))


def test_existing_file_is_replaced_only_on_demand(tmp_path: Path) -> None:
    source, out = make(tmp_path / "g.safetensors"), tmp_path / "half.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        export_generator(source, out)
    assert out.read_bytes() == b"mine"
    export_generator(source, out, overwrite=True)
    assert out.stat().st_size > 100


def test_run_folder_means_its_generator_of_the_direction(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    make(run / "generator_real_to_synthetic_ema.safetensors", "resnet6", "real-to-synthetic")
    summary = export_generator(run, tmp_path / "half.safetensors", direction="real-to-synthetic")
    assert summary.numbers["generator"] == "generator_real_to_synthetic_ema.safetensors"
    with pytest.raises(InputError, match="synthetic_to_real"):
        export_generator(run, tmp_path / "other.safetensors")
    file = run / "generator_real_to_synthetic_ema.safetensors"
    assert "is one for real-to-synthetic" in export_generator(file, tmp_path / "third.safetensors").warnings[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"out": "g.bin"}, "tells no format"),
        ({"format": "caffe"}, "onnx, pt2, safetensors-fp16"),
        ({"direction": "up"}, "synthetic-to-real or real-to-synthetic"),
        ({"out": "g.safetensors"}, "is the generator itself"),
        ({"out": "."}, "tells no format|is a folder"),
        ({"out": "folder.onnx"}, "is a folder"),
    ],
)
def test_what_cannot_be_done_is_refused(flags: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = make(tmp_path / "g.safetensors")
    (tmp_path / "folder.onnx").mkdir()
    out = tmp_path / flags.pop("out", "g.onnx")
    with pytest.raises(InputError, match=said):
        export_generator(source, out, **flags)


def test_output_in_the_run_folder_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "generator_synthetic_to_real.safetensors")
    with pytest.raises(InputError, match="inside the run folder"):
        export_generator(tmp_path, tmp_path / "g.onnx")


def test_absent_packages_are_named_with_the_line_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r"garbage-synth\[onnx\]"):
        export_generator(make(tmp_path / "g.safetensors"), tmp_path / "g.onnx")
