from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from garbage_synth.core.rng import rng_for
from garbage_synth.gan.data import Domain
from garbage_synth.gan.evaluation import KID, Evaluator, fixed_crops
from garbage_synth.gan.networks import Generator
from tests.gan.test_cycle_gan import same, small
from tests.gan.test_distances import brighter, scenes


class Same(Generator):
    def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
        return image, None


class Lighter(Generator):
    def with_displacement(self, image: Tensor) -> tuple[Tensor, None]:
        return image + 0.2, None


class Shifted(Generator):
    """Moves everything 3 pixels to the left, and says so."""

    def with_displacement(self, image: Tensor) -> tuple[Tensor, Tensor]:
        u = torch.zeros(1, 2, *image.shape[2:])
        u[:, 0] = 3
        return image.roll(-3, dims=3), u


class Witness:
    """Holds the labels whose picture is not changed."""

    def __init__(self) -> None:
        self.pictures = tuple(scenes(2, side=32).permute(0, 2, 3, 1).numpy())
        self.asked: list[tuple[int, bool, Any]] = []

    def held(self, index: int, after_rgb: NDArray[np.uint8], displacement: Any) -> tuple[int, int]:
        self.asked.append((index, np.array_equal(after_rgb, self.pictures[index]), displacement))
        return 3 * int(np.array_equal(after_rgb, self.pictures[index])), 3


def judged(to_real: Generator, to_synthetic: Generator, **settings: Any) -> dict[str, float]:
    gan = small()
    gan.averages |= {"to_real": to_real, "to_synthetic": to_synthetic}
    return Evaluator(scenes(8, side=32), scenes(8, side=32, seed=1), gan._placement, **settings)(gan)


def test_generator_that_changes_the_light_is_farther_away() -> None:
    still, lighter = judged(Same(), Same()), judged(Lighter(), Same())
    assert set(still) == {KID, "swd", "lab", "cycle_psnr"}
    assert lighter[KID] > still[KID]
    assert lighter["lab"] > still["lab"] + 5
    assert still["cycle_psnr"] > 60 > 25 > lighter["cycle_psnr"]
    assert lighter["cycle_psnr"] == pytest.approx(20 * np.log10(255 / 25.5), abs=0.2)


def test_averaged_weights_are_judged_and_the_last_where_there_are_none() -> None:
    gan = small()
    evaluate = Evaluator(scenes(4, side=32), scenes(4, side=32, seed=1), gan._placement)
    before = evaluate(gan)
    with torch.no_grad():
        next(gan.networks.to_real.parameters()).add_(1)
    assert evaluate(gan) == before
    gan.averages.clear()
    assert evaluate(gan) != before


def test_evaluation_changes_nothing_in_the_training() -> None:
    gan, other = small(), small()
    random = torch.get_rng_state()
    Evaluator(scenes(3, side=32), scenes(3, side=32), gan._placement, Witness())(gan)
    assert same(gan.state(), other.state())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in gan.networks.to_real.parameters())


def test_labels_are_shown_to_the_witness_and_counted() -> None:
    witness = Witness()
    assert judged(Same(), Same(), witness=witness)["label_hold"] == 1.0
    assert witness.asked == [(0, True, None), (1, True, None)]
    assert judged(Lighter(), Same(), witness=witness)["label_hold"] == 0.0


def test_displacement_of_a_generator_goes_along() -> None:
    witness = Witness()
    judged(Shifted(), Same(), witness=witness)
    for _, _, displacement in witness.asked:
        assert displacement.shape == (32, 32, 2)
        assert np.array_equal(displacement[5, 5], [3, 0])


def test_fixed_crops_come_from_all_over_the_domain_and_are_always_the_same() -> None:
    def read(path: Path) -> NDArray[np.uint8]:
        return np.full((40, 50, 3), int(path.stem), np.uint8) + rng_for(0, "test", "", 0).integers(0, 2, (40, 50, 1))

    domain = Domain("real", [Path(f"{10 * number}.png") for number in range(5)], read, cache_bytes=0)
    many, few = fixed_crops(domain, crop=32, count=12), fixed_crops(domain, crop=32, count=2)
    assert many.shape == (12, 3, 32, 32)
    assert sorted({int(crop.min()) // 10 for crop in many}) == [0, 1, 2, 3, 4]
    assert [int(crop.min()) // 10 for crop in few] == [0, 2]
    assert torch.equal(many, fixed_crops(domain, crop=32, count=12))
    assert not torch.equal(many[0], many[1])  # two places in one picture


def test_brightness_of_the_real_pictures_is_what_counts() -> None:
    gan = small()
    gan.averages |= {"to_real": Same(), "to_synthetic": Same()}
    near = Evaluator(scenes(8, side=32), scenes(8, side=32, seed=1), gan._placement)(gan)
    far = Evaluator(scenes(8, side=32), brighter(scenes(8, side=32, seed=1), 1), gan._placement)(gan)
    assert far[KID] > near[KID]
