from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from garbage_synth.gan.networks import Generator, GeneratorSpec, WarpGenerator, init_weights
from garbage_synth.io.resize import resize_rgb
from garbage_synth.refine import translate as module
from garbage_synth.refine.translate import Translator, pad_to_multiple
from tests.refine.networks import deform_widely

CPU = torch.device("cpu")


def generator(channels: int = 4) -> Generator:
    network = GeneratorSpec("resnet6", channels).build()
    init_weights(network, torch.Generator().manual_seed(0), 0.1)
    return network


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


class Negative(nn.Module):
    def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
        return -image, None


class Same(nn.Module):
    def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
        return image, None


def test_whole_frame_equals_the_network_called_directly() -> None:
    image = picture(36, 48)
    network = generator()
    signed = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    direct = ((network(signed)[0].detach() + 1) * 127.5).permute(1, 2, 0).numpy()
    got = Translator(generator(), device=CPU, half=False)(image)[0]
    assert np.abs(got - direct).max() < 1.01
    assert np.abs(got - direct).mean() == pytest.approx(1 / 3, abs=0.02)  # of a fraction that is uniform, dithered
    assert np.mean(got - direct) == pytest.approx(0, abs=0.03)
    assert got.std() > 1


def test_odd_size_is_the_mirrored_frame_cropped_back() -> None:
    translate = Translator(generator(), device=CPU, half=False)
    image = picture(33, 46)
    mirrored = np.pad(image, ((0, 3), (0, 2), (0, 0)), mode="reflect")
    assert np.abs(translate(image)[0].astype(int) - translate(mirrored)[0][:33, :46]).max() <= 1  # dithered otherwise


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (2, 3), (7, 5), (15, 16), (16, 16), (17, 31), (64, 3)])
@pytest.mark.parametrize("half", [False, True])
def test_any_size_comes_back_as_it_was(size_hw: tuple[int, int], half: bool) -> None:
    image = picture(*size_hw)
    assert np.array_equal(Translator(Same(), device=CPU, half=False)(image)[0], image)
    translated = Translator(generator(), device=CPU, half=half)(image)[0]
    assert translated.shape == image.shape
    assert translated.dtype == np.uint8


def test_levels_are_scaled_and_rounded_right() -> None:
    image = picture(16, 16)
    assert np.array_equal(Translator(Negative(), device=CPU, half=False)(image)[0], 255 - image)


def test_half_precision_stays_within_a_few_levels_of_full() -> None:
    image = np.kron(picture(6, 8), np.ones((8, 8, 1))).astype(np.uint8)
    full = Translator(generator(16), device=CPU, half=False)(image)[0]
    half = Translator(generator(16), device=CPU, half=True)(image)[0]
    difference = np.abs(full.astype(int) - half)
    assert 0 < difference.mean() < 2


def test_network_is_taken_over_without_gradients() -> None:
    network = generator()
    Translator(network, device=CPU, half=False)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def to(width: int, height: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    return partial(resize_rgb, size_wh=(width, height))


def identity(warp_max_px: float = 4.0) -> WarpGenerator:
    network = WarpGenerator(1, 2, warp_max_px)
    init_weights(network, torch.Generator().manual_seed(0))
    return network


def shifting(right: float, down: float, brighter: float = 0.0) -> WarpGenerator:
    """Moves everything by one shift below 4 pixels and adds to it."""
    network = identity()
    assert network.grid_head is not None
    with torch.no_grad():
        network.grid_head[-1].get_parameter("bias").copy_(torch.atanh(-torch.tensor([right, down]) / 4))
        network.residual_head[-1].get_parameter("bias").fill_(brighter)
    return network


@pytest.mark.parametrize("size_wh", [(20, 24), (13, 15), (12, 40), (90, 70), (46, 33)])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("rows", [None, 16])
def test_identity_at_any_trained_size_gives_the_picture_back_to_the_bit(
    size_wh: tuple[int, int], half: bool, rows: int | None
) -> None:
    image = picture(33, 46)
    for network in (identity(), identity(0.0), Same()):
        bands = None if isinstance(network, Same) else lambda _: rows
        translate = Translator(network, device=CPU, half=half, band_rows=bands, resize=to(*size_wh))
        assert np.array_equal(translate(image)[0], image)


@pytest.mark.parametrize("small_wh", [None, (24, 20)])
def test_a_change_below_one_level_stays_one_on_average_and_draws_no_contour(small_wh: tuple[int, int] | None) -> None:
    levels = 0.3, 1.0, -0.55

    class Shift(nn.Module):
        def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
            return image + torch.tensor(levels)[:, None, None] / 127.5, None

    image = np.full((200, 240, 3), 60, np.uint8)
    change = (
        Translator(Shift(), device=CPU, half=False, resize=small_wh and to(*small_wh))(image)[0].astype(int) - image
    )
    assert np.allclose(change.mean((0, 1)), levels, atol=0.01)
    assert set(np.unique(change[..., 0])) == {0, 1}
    assert set(np.unique(change[..., 1])) == {1}
    # neighbours fall up or down of their own accord
    first = change[..., 0] - 0.3
    assert abs((first[:, 1:] * first[:, :-1]).mean()) < 0.01
    assert abs((first[1:] * first[:-1]).mean()) < 0.01


def test_dither_is_that_of_the_picture() -> None:
    class Half(nn.Module):
        def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
            return image + 0.5 / 127.5, None

    translate = Translator(Half(), device=CPU, half=False)
    image = np.full((40, 48, 3), 60, np.uint8)
    other = image.copy()
    other[0, 0] = 61
    assert np.array_equal(translate(image)[0], translate(image)[0])
    assert (translate(image)[0] != translate(other)[0]).mean() == pytest.approx(0.5, abs=0.05)


def test_resizing_generator_sees_its_size_and_what_it_adds_is_added_to_the_picture_itself() -> None:
    seen: list[tuple[int, ...]] = []

    class Lighter(nn.Module):
        def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
            seen.append(tuple(image.shape))
            return image + 20 / 127.5, None

    image = picture(40, 48)
    got, u = Translator(Lighter(), device=CPU, half=False, resize=to(24, 20))(image)
    assert seen == [(1, 3, 20, 24)]
    assert u is None
    assert np.array_equal(got, np.minimum(image.astype(int) + 20, 255))


def test_change_that_differs_from_place_to_place_is_scaled_up_smoothly() -> None:
    slope = torch.linspace(-0.2, 0.2, 24)

    class Slope(nn.Module):
        def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
            return image + slope, None

    image = np.full((40, 96, 3), 128, np.uint8)
    image[::2] = 100
    got = Translator(Slope(), device=CPU, half=False, resize=to(24, 12))(image)[0].astype(int) - image
    inner = got[:, 4:-4]
    columns = inner.mean((0, 2))
    assert np.abs(inner - columns[:, None]).max() <= 1
    assert np.diff(columns).min() > 0
    assert np.diff(columns).max() < 1
    assert got[0, 0, 0] == pytest.approx(-25.5, abs=1)
    assert got[0, -1, 0] == pytest.approx(25.5, abs=1)


@pytest.mark.parametrize("rows", [None, 16])
def test_picture_at_its_own_size_is_displaced_by_the_scaled_displacement(
    rows: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BAND_PX", 7 * 128)
    image = picture(96, 128)
    network = shifting(1.5, -2.0, brighter=0.04)
    added = round(float(2 * np.tanh(0.02)) * 127.5)
    got, u = Translator(network, device=CPU, half=False, band_rows=lambda _: rows, resize=to(64, 32))(image)
    assert u is not None
    assert u.shape == (96, 128, 2)
    assert np.allclose(u, (-3.0, 6.0), atol=1e-4)
    moved = np.roll(image, (-6, 3), (0, 1)).astype(int)
    inner = slice(6, -6), slice(6, -6)
    assert np.abs(got[inner] - np.minimum(moved + added, 255)[inner]).max() <= 1


def test_change_at_full_size_is_the_same_in_bands() -> None:
    image = picture(70, 90)
    for seed in range(2):
        network = deform_widely(WarpGenerator(1, 4), seed)
        whole, u = Translator(network, device=CPU, half=False, resize=to(57, 41))(image)
        parts, v = Translator(network, device=CPU, half=False, resize=to(57, 41), band_rows=lambda _: 16)(image)
        assert u is not None
        assert v is not None
        assert np.ptp(u) > 1
        assert np.abs(u - v).max() < 1e-3
        assert np.abs(whole.astype(int) - parts).max() <= 1
        assert np.abs(whole.astype(int) - image).mean() > 3


def test_picture_of_the_trained_size_is_what_the_network_gives() -> None:
    image = picture(36, 48)
    plain = Translator(generator(), device=CPU, half=False)(image)[0]
    assert np.array_equal(Translator(generator(), device=CPU, half=False, resize=to(48, 36))(image)[0], plain)


def test_padding_mirrors_at_the_right_and_below_only() -> None:
    image = picture(18, 20)
    padded = pad_to_multiple(image)
    assert padded.shape == (20, 20, 3)
    assert np.array_equal(padded[:18], image)
    assert np.array_equal(padded[18:], image[16:14:-1])
    assert pad_to_multiple(picture(1, 1)).shape == (16, 16, 3)
    assert (pad_to_multiple(picture(1, 1)) == picture(1, 1)).all()
