"""In bands as in the whole frame."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from garbage_synth.errors import InputError
from garbage_synth.gan.networks import Generator, GeneratorName, GeneratorSpec, WarpGenerator, init_weights
from garbage_synth.refine.memory import MemoryPlan, peak_bytes
from garbage_synth.refine.tiles import walk
from garbage_synth.refine.translate import Translator
from tests.refine.networks import deform_widely

CPU = torch.device("cpu")
ROWS = (4, 8, 12, 16, 20, 32, 400)


def generator(name: GeneratorName = "resnet6", channels: int = 4) -> Generator:
    network = GeneratorSpec(name, channels).build()
    init_weights(network, torch.Generator().manual_seed(0), 0.1)
    return network.requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    """A gradient with noise, so that every region has moments of its own: float32 (1, 3, h, w) in [-1, 1]."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    return (noise * torch.linspace(0.1, 1, height)[:, None]) * 2 - 1


@torch.inference_mode()
def in_bands(network: nn.Module, image: Tensor, rows: int) -> Tensor:
    asked: list[int] = []

    def read(top: int, bottom: int) -> Tensor:
        assert 0 <= top < bottom <= image.shape[2]
        asked.append(bottom - top)
        return image[:, :, top:bottom]

    bands = list(walk(network, read, (image.shape[2], image.shape[3]), rows))
    assert [top for top, *_ in bands] == [0, *(bottom for _, bottom, *_ in bands[:-1])]
    assert all(band.shape[2] == bottom - top for top, bottom, band, _ in bands)
    assert len(bands) >= image.shape[2] / rows / 2
    assert max(asked) <= rows + 40
    return torch.cat([band for _, _, band, _ in bands], dim=2)


@pytest.mark.parametrize("name", ["resnet6", "resnet9"])
@pytest.mark.parametrize("size_hw", [(16, 16), (36, 52), (100, 68), (132, 8)])
def test_bands_of_any_height_equal_the_whole_frame(name: GeneratorName, size_hw: tuple[int, int]) -> None:
    network, image = generator(name, 8), picture(*size_hw)
    with torch.inference_mode():
        whole = network(image)
    assert whole.std() > 0.3
    for rows in ROWS:
        walked = in_bands(network, image, rows)
        assert walked.shape == whole.shape
        assert walked.dtype == torch.float32
        assert (walked - whole).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["warp6", "warp"])
@pytest.mark.parametrize("warp_max_px", [0.0, 4.0, 7.9])
@pytest.mark.parametrize("size_hw", [(16, 16), (100, 68), (132, 8)])
def test_deforming_generator_in_bands_equals_the_whole_frame(
    name: GeneratorName, warp_max_px: float, size_hw: tuple[int, int]
) -> None:
    network, image = shaken(name, warp_max_px), picture(*size_hw)
    with torch.inference_mode():
        whole, u = network.with_displacement(image)
    for rows in ROWS:
        with torch.inference_mode():
            bands = list(walk(network, lambda top, bottom: image[:, :, top:bottom], size_hw, rows))
        assert (torch.cat([band for _, _, band, _ in bands], dim=2) - whole).abs().max() < 1e-4
        if u is None:
            assert all(own is None for *_, own in bands)
        else:
            assert u.abs().max() > warp_max_px / 4
            walked = torch.cat([own for *_, own in bands if own is not None], dim=2)
            assert (walked - u).abs().max() < 1e-4
    assert (u is None) == (warp_max_px == 0)


def shaken(name: GeneratorName, warp_max_px: float, channels: int = 4) -> Generator:
    """A generator that deforms as far as it may; small residuals, so that it is the deformation that is compared."""
    network = GeneratorSpec(name, channels, warp_max_px).build()
    assert isinstance(network, WarpGenerator)
    return deform_widely(network).requires_grad_(False)


def test_every_piece_alone_equals_the_whole_frame() -> None:
    """Kernels, strides, paddings and layers with weights that a generator of ours does not have."""
    bodies = [
        [nn.Conv2d(3, 5, 5, stride=3, padding=2), nn.InstanceNorm2d(5)],
        [nn.Conv2d(3, 6, 4, padding=0, groups=3), nn.InstanceNorm2d(6, eps=0.1, affine=True), nn.Conv2d(6, 2, 1)],
        [nn.ReflectionPad2d((2, 1, 5, 3)), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 7, padding=3)],
        [nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), nn.InstanceNorm2d(4), nn.ReflectionPad2d(1)],
        [nn.Conv2d(3, 4, 1), Sum(nn.InstanceNorm2d(4), nn.Conv2d(4, 4, 15, padding=7), nn.InstanceNorm2d(4))],
    ]
    for body in bodies:
        torch.manual_seed(0)
        network = Body(*body).requires_grad_(False)
        for parameter in network.parameters():
            nn.init.normal_(parameter)
        image = picture(37, 21)
        whole = torch.tanh(network.body(image))
        for rows in (2, 5, 8, 16, 50):
            assert (in_bands(network, image, rows) - whole).abs().max() < 1e-4, (body, rows)


def test_moments_hold_where_the_mean_is_far_from_zero() -> None:
    network = Body(nn.Conv2d(3, 2, 1), nn.InstanceNorm2d(2)).requires_grad_(False)
    nn.init.constant_(network.body[0].bias, 300.0)  # type: ignore[arg-type]
    image = picture(64, 16)
    exact = torch.tanh(network.double().body(image.double()))
    assert (in_bands(network.float(), image, 8) - exact).abs().max() < 1e-3


def test_levels_of_a_picture_of_odd_sides_are_the_same() -> None:
    network = generator("resnet9", 8)
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    whole = Translator(network, device=CPU, half=False)(image)[0]
    asked = []

    def rows(size_wh: tuple[int, int]) -> int:
        asked.append(size_wh)
        return 16

    walked = Translator(network, device=CPU, half=False, band_rows=rows)(image)[0]
    assert asked == [(83, 61)]
    assert walked.shape == image.shape
    assert walked.dtype == np.uint8
    assert np.abs(walked.astype(int) - whole).max() <= 1
    assert (walked != whole).mean() < 0.001


def test_in_half_precision_bands_are_as_near_to_full_precision_as_the_whole_frame_is() -> None:
    image = np.kron(np.random.default_rng(0).integers(0, 256, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    exact = Translator(generator("resnet9", 16), device=CPU, half=False)(image)[0].astype(int)
    whole = Translator(generator("resnet9", 16), device=CPU, half=True)(image)[0]
    walked = Translator(generator("resnet9", 16), device=CPU, half=True, band_rows=lambda _: 16)(image)[0]
    assert np.abs(walked - exact).mean() < 1.1 * np.abs(whole - exact).mean()
    assert np.abs(walked - whole.astype(int)).mean() < 2


def test_displacement_of_a_picture_of_odd_sides_is_told_for_its_own_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    whole, u = Translator(shaken("warp6", 4.0), device=CPU, half=False)(image)
    walked, same = Translator(shaken("warp6", 4.0), device=CPU, half=False, band_rows=lambda _: 16)(image)
    assert u is not None
    assert same is not None
    assert u.shape == same.shape == (61, 83, 2)
    assert u.dtype == np.float32
    assert np.abs(u - same).max() < 1e-4
    assert np.abs(walked.astype(int) - whole).max() <= 1


def test_deforming_generator_of_a_layer_that_cannot_be_walked_is_refused() -> None:
    network = shaken("warp6", 4.0)
    assert isinstance(network, WarpGenerator)
    network.residual_head[2] = nn.GELU()
    with pytest.raises(InputError, match="cannot be computed in bands"):
        in_bands(network, picture(16, 16), 8)


class Body(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)


class Sum(Body):
    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.body(features)
        return result


@pytest.mark.parametrize(
    "layer",
    [
        nn.LeakyReLU(),
        nn.BatchNorm2d(3),
        nn.InstanceNorm2d(3, track_running_stats=True),
        nn.Conv2d(3, 3, 3, dilation=2),
        nn.Conv2d(3, 3, 3, padding="same"),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(3, 3, 3, stride=3, output_padding=2),
        Body(nn.ReLU(), Body(nn.GELU())),
        nn.Sequential(nn.ReLU()),
    ],
)
def test_layer_that_cannot_be_walked_is_refused_by_name(layer: nn.Module) -> None:
    with pytest.raises(InputError, match="cannot be computed in bands"):
        in_bands(Body(nn.ReLU(), layer), picture(16, 16), 8)
    with pytest.raises(InputError, match="cannot be computed in bands"):
        in_bands(layer, picture(16, 16), 8)


PEAK = """
import sys
import numpy as np
import torch
from garbage_synth.gan.networks import GeneratorSpec
from garbage_synth.refine.translate import Translator

def resident(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

name = sys.argv[1]
width, height, channels, half, rows = map(int, sys.argv[2:])
network = GeneratorSpec(name, channels, 4.0).build()
translate = Translator(network, device=torch.device("cpu"), half=bool(half), band_rows=lambda _: rows or None)
image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
translate(image[:32, :32])
before = resident("VmRSS:")
translate(image)
print(resident("VmHWM:") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the resident set from /proc")
@pytest.mark.parametrize("name", ["resnet6", "warp6"])
@pytest.mark.parametrize("whole", [True, False])
def test_estimate_is_above_the_resident_set_and_not_by_half(whole: bool, name: GeneratorName) -> None:
    size_wh, channels = (1280, 720), 16
    rows = None if whole else MemoryPlan(channels, False, 0).band_rows(size_wh)
    arguments = [name, *map(str, size_wh), str(channels), "0", str(rows or 0)]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    peak = int(done.stdout)
    estimate = peak_bytes(size_wh, base_channels=channels, half=False, band_rows=rows)
    assert peak < estimate < 2 * peak
