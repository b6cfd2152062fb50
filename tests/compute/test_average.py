import pytest
import torch
from torch import nn

from garbage_synth.compute.average import averaged_copy, update_average


def one(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_average_starts_as_a_copy_and_takes_no_gradient() -> None:
    network = one(3.0)
    average = averaged_copy(network)
    assert torch.equal(average.weight, network.weight)  # type: ignore[arg-type]
    assert average.weight is not network.weight
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_average_moves_by_one_minus_decay() -> None:
    average = averaged_copy(one(0.0))
    update_average(average, one(1.0), step=10**6, decay=0.9)
    assert next(average.parameters()).item() == pytest.approx(0.1)


def test_average_follows_fast_in_the_first_steps() -> None:
    average = averaged_copy(one(0.0))
    update_average(average, one(1.0), step=0, decay=0.999)
    assert next(average.parameters()).item() == pytest.approx(0.9)
