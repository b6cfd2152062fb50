import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from garbage_synth.gan.networks import Generator, GeneratorSpec, init_weights
from garbage_synth.refine.translate import Translator, pad_to_multiple

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
    direct = ((network(signed)[0].detach() + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    got = Translator(generator(), device=CPU, half=False)(image)[0]
    assert np.array_equal(got, direct)
    assert got.std() > 1


def test_odd_size_is_the_mirrored_frame_cropped_back() -> None:
    translate = Translator(generator(), device=CPU, half=False)
    image = picture(33, 46)
    mirrored = np.pad(image, ((0, 3), (0, 2), (0, 0)), mode="reflect")
    assert np.array_equal(translate(image)[0], translate(mirrored)[0][:33, :46])


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


def test_resizing_generator_sees_its_size_and_the_picture_comes_back_at_its_own() -> None:
    seen: list[tuple[int, ...]] = []

    class Spy(Same):
        def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
            seen.append(tuple(image.shape))
            return image, None

    def to_half(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(image[::2, ::2])

    def back(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
        return image.repeat(2, axis=0).repeat(2, axis=1)[: size_wh[1], : size_wh[0]]

    image = np.kron(picture(20, 24), np.ones((2, 2, 1))).astype(np.uint8)
    got = Translator(Spy(), device=CPU, half=False, resize_in=to_half, resize_back=back)(image)[0]
    assert seen == [(1, 3, 20, 24)]
    assert np.array_equal(got, image)


def test_padding_mirrors_at_the_right_and_below_only() -> None:
    image = picture(18, 20)
    padded = pad_to_multiple(image)
    assert padded.shape == (20, 20, 3)
    assert np.array_equal(padded[:18], image)
    assert np.array_equal(padded[18:], image[16:14:-1])
    assert pad_to_multiple(picture(1, 1)).shape == (16, 16, 3)
    assert (pad_to_multiple(picture(1, 1)) == picture(1, 1)).all()
