from typing import Any

import pytest
import torch

from garbage_synth.config.gan import GanConfig
from garbage_synth.gan import cycle_gan as module
from garbage_synth.gan.cycle_gan import CycleGan, Placement
from garbage_synth.gan.device import Precision
from garbage_synth.gan.networks import GeneratorSpec


def small(precision: Precision = "fp32", seed: int = 0, **settings: Any) -> CycleGan:
    config = GanConfig(**{"base_channels": 4, "discriminator_channels": 4, "pool_size": 2, **settings})
    spec = GeneratorSpec("resnet6", config.base_channels)
    return CycleGan(spec, config, Placement(torch.device("cpu"), precision), seed=seed)


def pictures(seed: int, count: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def smooth(seed: int) -> torch.Tensor:
    """A soft picture that a small network can copy, uint8 (1, 3, 32, 32)."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").to(torch.uint8)


def run(gan: CycleGan, steps: range, rate: float = 2e-4) -> dict[str, torch.Tensor]:
    losses: dict[str, torch.Tensor] = {}
    for step in steps:
        losses = gan.step(pictures(step), pictures(1000 + step), index=step, learning_rate=rate)
    return losses


def same(first: Any, second: Any) -> bool:
    """True where two states hold the same bits."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_restored_training_goes_on_with_the_same_bits(precision: Precision) -> None:
    straight = small(precision)
    run(straight, range(6))
    first = small(precision)
    run(first, range(4))
    second = small(precision, seed=0)
    second.restore(first.state())
    run(second, range(4, 6))
    assert same(second.state(), straight.state())
    assert not same(first.state(), straight.state())


def test_state_holds_all_that_a_step_depends_on() -> None:
    state = small().state()
    assert set(state["networks"]) == {"to_real", "to_synthetic", "judge_real", "judge_synthetic"}
    assert set(state) == {"networks", "averages", "generator_adam", "judge_adam", "pools"}


def test_two_pictures_are_learned_by_heart() -> None:
    gan = small(base_channels=8, discriminator_channels=8)
    x, y = smooth(1), smooth(2)
    history = [gan.step(x, y, index=step, learning_rate=2e-3) for step in range(50)]
    for name in ("cycle_synthetic", "cycle_real", "identity_real", "identity_synthetic"):
        first, last = (sum(losses[name].item() for losses in part) / 5 for part in (history[:5], history[-5:]))
        assert last < 0.5 * first, name


def test_discriminators_are_frozen_while_the_generators_learn_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    for name in ("generator_terms", "discriminator_loss"):
        whole = getattr(module, name)

        def spy(nets: Any, *rest: Any, name: str = name, whole: Any = whole) -> Any:
            judge = nets.judge_real if name == "generator_terms" else nets
            seen.append((name, all(parameter.requires_grad for parameter in judge.parameters())))
            return whole(nets, *rest)

        monkeypatch.setattr(module, name, spy)
    run(small(), range(2))
    assert seen == [("generator_terms", False), ("discriminator_loss", True), ("discriminator_loss", True)] * 2


def test_nothing_moves_at_a_learning_rate_of_zero() -> None:
    gan = small()
    before = small().state()["networks"]
    run(gan, range(2), rate=0.0)
    assert same(gan.state()["networks"], before)


def test_learning_rate_of_the_step_is_the_one_that_adam_uses() -> None:
    gan = small()
    before = [parameter.detach().clone() for parameter in gan.networks.to_real.parameters()]
    gan.step(pictures(1), pictures(2), index=0, learning_rate=1e-3)
    moved = max(
        float((now.detach() - then).abs().max())
        for now, then in zip(gan.networks.to_real.parameters(), before, strict=True)
    )
    assert moved == pytest.approx(1e-3, rel=0.01)  # Adam's first step is the rate itself


def test_seed_decides_the_initial_weights() -> None:
    assert same(small(seed=3).state(), small(seed=3).state())
    assert not same(small(seed=3).state(), small(seed=4).state())


def test_averages_are_kept_beside_the_raw_weights_or_not_at_all() -> None:
    gan = small()
    run(gan, range(2))
    assert set(gan.averages) == {"to_real", "to_synthetic"}
    raw, average = gan.networks.to_real.state_dict(), gan.averages["to_real"].state_dict()
    assert not same(raw, average)
    assert small(ema_decay=0.0).averages == {}


def test_samples_are_six_columns_of_levels() -> None:
    gan = small()
    columns = gan.samples(pictures(1, 2), pictures(2, 3))
    assert [tuple(column.shape) for column in columns] == [(2, 3, 32, 32)] * 3 + [(3, 3, 32, 32)] * 3
    assert {column.dtype for column in columns} == {torch.uint8}
    assert torch.equal(columns[0], pictures(1, 2))


def test_correlation_is_near_one_for_a_copy_and_below_zero_for_a_negative() -> None:
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    assert module._correlation(x, x * 0.5 + 0.1).item() == pytest.approx(1, abs=1e-4)
    assert module._correlation(x, -x).item() == pytest.approx(-1, abs=1e-4)
    assert module._correlation(x, torch.zeros_like(x)).item() == 0


def test_weights_that_are_not_finite_are_noticed() -> None:
    gan = small()
    assert gan.is_finite()
    with torch.no_grad():
        next(gan.networks.judge_synthetic.parameters())[0] = float("nan")
    assert not gan.is_finite()


def test_gpu_in_bf16_takes_channels_last_and_nothing_else_does() -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert Placement(gpu, "bf16").memory_format == torch.channels_last
    assert Placement(gpu, "fp32").memory_format == torch.contiguous_format
    assert Placement(cpu, "bf16").memory_format == torch.contiguous_format
