from copy import deepcopy
from typing import Any

import pytest
import torch

from garbage_synth.compute.device import Precision
from garbage_synth.config.gan import GanConfig
from garbage_synth.gan import cycle_gan as module
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.networks import GeneratorName, GeneratorSpec
from garbage_synth.gan.placement import Placement

PAPER = {"cycle_item": 0, "cycle_edge": 0, "structure": 0, "new_edges": 0, "segmenter": 0, "flip": 0}


def small(
    precision: Precision = "fp32",
    seed: int = 0,
    generator: GeneratorName = "resnet6",
    labels_given: bool = False,
    **settings: Any,
) -> CycleGan:
    settings = {"base_channels": 4, "discriminator_channels": 4, "pool_size": 2, "labels": PAPER, **settings}
    config = GanConfig(**settings)
    spec = GeneratorSpec(generator, config.base_channels, config.warp_max_px)
    return CycleGan(spec, config, Placement(torch.device("cpu"), precision), seed=seed, labelled=labels_given)


def labelled(**settings: Any) -> CycleGan:
    """With all terms that keep labels, and a segmenter that is believed at once."""
    labels = {"segmenter_channels": 2, "segmenter_min_dice": 0.0, "flip_every_steps": 2}
    return small(generator="warp6", labels_given=True, labels=labels, **settings)


def pictures(seed: int, count: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def smooth(seed: int) -> torch.Tensor:
    """A soft picture that a small network can copy, uint8 (1, 3, 32, 32)."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").to(torch.uint8)


def class_map(step: int = 0) -> torch.Tensor:
    """An item of class 1 and one of class 2, uint8 (1, 32, 32)."""
    classes = torch.zeros((1, 32, 32), dtype=torch.uint8)
    classes[:, 4:14, 4 + step % 4 : 16] = 1
    classes[:, 20:30, 18:28] = 2
    return classes


def run(gan: CycleGan, steps: range, rate: float = 2e-4, *, labels: bool = False) -> dict[str, torch.Tensor]:
    losses: dict[str, torch.Tensor] = {}
    for step in steps:
        classes = class_map(step) if labels else None
        losses = gan.step(pictures(step), pictures(1000 + step), index=step, learning_rate=rate, classes=classes)
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


def test_restored_training_with_labels_goes_on_with_the_same_bits() -> None:
    straight = labelled()
    run(straight, range(5), labels=True)
    first = labelled()
    run(first, range(3), labels=True)
    second = labelled()
    second.restore(first.state())
    run(second, range(3, 5), labels=True)
    assert same(second.state(), straight.state())


def test_a_checkpoint_of_another_memory_layout_is_taken_up_as_it_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a GPU, say: fused Adam pairs weights and moments as they lie in memory."""
    with monkeypatch.context() as patch:
        patch.setattr(Placement, "memory_format", torch.channels_last)
        elsewhere = small()
        run(elsewhere, range(3))
        state = elsewhere.state()
    contiguous = _contiguous(state)
    gan, same_layout = small(), small()
    gan.restore(contiguous | {key: deepcopy(state[key]) for key in ("networks", "generator_adam", "judge_adam")})
    same_layout.restore(_contiguous(state))
    run(gan, range(3, 5))
    run(same_layout, range(3, 5))
    assert same(gan.state(), same_layout.state())


def _contiguous(state: Any) -> Any:
    """The same numbers, laid out anew."""
    if isinstance(state, torch.Tensor):
        return state.clone(memory_format=torch.contiguous_format)
    if isinstance(state, dict):
        return {key: _contiguous(value) for key, value in state.items()}
    return [_contiguous(value) for value in state] if isinstance(state, list) else state


def test_segmenter_learns_in_bf16_too() -> None:
    gan = labelled(precision="bf16")
    assert gan._finder is not None
    before = [parameter.detach().clone() for parameter in gan._finder.network.parameters()]
    run(gan, range(1), labels=True)
    after = gan._finder.network.parameters()
    assert not any(torch.equal(now, then) for now, then in zip(after, before, strict=True) if now.dim() > 1)


def test_terms_that_keep_labels_are_told_beside_the_others_and_flip_comes_at_its_steps() -> None:
    gan = labelled()
    names = [set(run(gan, range(step, step + 1), labels=True)) for step in range(2)]
    assert {"structure", "new_edges", "semantic", "segmenter", "segmenter_dice", "displacement_px"} <= names[1]
    assert names[0] - names[1] == {"flip"}


def test_segmenter_learns_from_synthetic_pictures_and_not_from_its_own_verdict() -> None:
    gan = labelled(ema_decay=0.0)
    assert gan._finder is not None
    segmenter = gan._finder.network
    seen: list[dict[str, torch.Tensor]] = []
    whole = gan._update_generators[True]

    def spy(*tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        before = {name: value.clone() for name, value in segmenter.state_dict().items()}
        losses = whole(*tensors)
        seen.append(before)
        assert same(before, dict(segmenter.state_dict()))
        return losses

    gan._update_generators[True] = spy
    fresh = {name: value.clone() for name, value in segmenter.state_dict().items()}
    run(gan, range(1), labels=True)
    assert not same(fresh, seen[0])


def test_verdict_of_the_segmenter_counts_only_once_it_is_good() -> None:
    def semantic_gradient(min_dice: float) -> bool:
        quiet = {**PAPER, "segmenter": 1.0, "segmenter_channels": 2, "segmenter_min_dice": min_dice}
        config = {"lambda_cycle": 0.0, "labels": quiet}
        gan = small(generator="warp6", labels_given=True, **config)
        for judge in (gan.networks.judge_real, gan.networks.judge_synthetic):
            for parameter in judge.parameters():  # a judge that says the same of everything teaches nothing
                torch.nn.init.zeros_(parameter)
        run(gan, range(1), labels=True)
        return any(bool(p.grad is not None and p.grad.abs().sum() > 0) for p in gan.networks.to_real.parameters())

    assert semantic_gradient(0.0)
    assert not semantic_gradient(1.0)


def test_state_holds_all_that_a_step_depends_on() -> None:
    state = small().state()
    assert set(state["networks"]) == {"to_real", "to_synthetic", "judge_real", "judge_synthetic"}
    assert set(state) == {"networks", "averages", "generator_adam", "judge_adam", "finder", "pools"}
    assert state["finder"] is None
    assert set(labelled().state()["finder"]) == {"network", "adam", "overlap"}


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
