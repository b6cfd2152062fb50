import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from garbage_synth.errors import InputError
from garbage_synth.gan.generator_file import (
    GeneratorCard,
    find_generator,
    generator_file_name,
    load_generator,
    read_card,
    save_generator,
)
from garbage_synth.gan.networks import Generator, WarpGenerator, init_weights

CARD = GeneratorCard("resnet6", 2, "synthetic-to-real", 286, 64, 1234, True)


def network(seed: int = 0) -> Generator:
    built = CARD.spec.build()
    init_weights(built, torch.Generator().manual_seed(seed))
    return built


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "g.safetensors"
    save_generator(path, network(), CARD)
    return path


def test_weights_and_card_survive_the_round_trip(file: Path) -> None:
    loaded, card = load_generator(file)
    assert card == CARD == read_card(file)
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(image), network()(image))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_file_holds_exactly_the_parameters_in_float32_and_the_config(file: Path) -> None:
    tensors = load_file(file)
    assert set(tensors) == {name for name, _ in network().named_parameters()}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    with safe_open(file, framework="pt") as opened:
        config = json.loads(opened.metadata()["config"])
    assert config == {
        "averaged": True,
        "base_channels": 2,
        "crop_px": 64,
        "direction": "synthetic-to-real",
        "generator": "resnet6",
        "resize_short_px": 286,
        "steps": 1234,
        "version": 1,
        "warp_max_px": 0.0,
    }


def test_warp_generator_survives_the_round_trip(tmp_path: Path) -> None:
    card = GeneratorCard("warp6", 2, "synthetic-to-real", None, 64, 1, False, warp_max_px=2.5)
    built = card.spec.build()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_generator(tmp_path / "g.safetensors", built, card)
    loaded, read = load_generator(tmp_path / "g.safetensors")
    assert read == card
    image = torch.rand(1, 3, 40, 36)
    for got, expected in zip(loaded.with_displacement(image), built.with_displacement(image), strict=True):
        assert got is not None
        assert expected is not None
        assert torch.equal(got, expected)
    assert isinstance(loaded, WarpGenerator)
    assert loaded.warp_max_px == 2.5


def test_file_from_before_the_warp_generators_still_loads(file: Path, tmp_path: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        config = json.loads(opened.metadata()["config"])
    del config["warp_max_px"]
    old = tmp_path / "old.safetensors"
    save_file(load_file(file), old, metadata={"config": json.dumps(config)})
    assert load_generator(old)[1] == CARD


def test_same_network_gives_the_same_bytes_whatever_its_memory_layout(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_generator(other, network().to(memory_format=torch.channels_last), CARD)  # type: ignore[call-overload]
    assert other.read_bytes() == file.read_bytes()
    assert not list(tmp_path.glob(".*"))
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_half_precision_file_is_read_as_float32(file: Path, tmp_path: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    half = tmp_path / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, half, metadata=metadata)
    loaded, _ = load_generator(half)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_run_folder_means_best_average_then_average_then_raw(tmp_path: Path) -> None:
    names = {variant: generator_file_name("real-to-synthetic", variant) for variant in ("", "ema", "best_ema")}
    assert names[""] == "generator_real_to_synthetic.safetensors"
    assert names["ema"] == "generator_real_to_synthetic_ema.safetensors"
    with pytest.raises(InputError, match="holds no generator_real_to_synthetic"):
        find_generator(tmp_path, "real-to-synthetic")
    for variant in ("", "ema", "best_ema"):
        (tmp_path / names[variant]).touch()
        assert find_generator(tmp_path, "real-to-synthetic").name == names[variant]
    with pytest.raises(InputError, match="synthetic_to_real"):
        find_generator(tmp_path, "synthetic-to-real")
    assert find_generator(tmp_path / names[""], "synthetic-to-real").name == names[""]
    with pytest.raises(InputError, match="does not exist"):
        find_generator(tmp_path / "nowhere", "synthetic-to-real")


def test_files_that_are_no_generators_are_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("not weights")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-100])
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, bare)
    for path, word in ((text, "safetensors"), (cut, "safetensors"), (bare, "no garbage-synth metadata")):
        with pytest.raises(InputError, match=word) as caught:
            load_generator(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"generator": "unet"},
        {"direction": "up"},
        {"version": 2},
        {"base_channels": 0},
        {"base_channels": "2"},
        {"resize_short_px": -4},
        {"surplus": 1},
        {"base_channels": 4},
        {"warp_max_px": 8},
        {"warp_max_px": "4"},
        {"generator": "warp6"},
    ],
)
def test_metadata_that_does_not_fit_is_refused(file: Path, tmp_path: Path, change: dict[str, object]) -> None:
    with safe_open(file, framework="pt") as opened:
        config = json.loads(opened.metadata()["config"])
    wrong = tmp_path / "wrong.safetensors"
    save_file(load_file(file), wrong, metadata={"config": json.dumps(config | change)})
    with pytest.raises(InputError, match=r"wrong\.safetensors"):
        load_generator(wrong)


def test_metadata_that_is_no_json_is_refused(file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    for text in ("{", "[]", "{}"):
        save_file(load_file(file), wrong, metadata={"config": text})
        with pytest.raises(InputError, match="metadata"):
            read_card(wrong)
