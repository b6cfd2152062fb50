import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.gan.losses import (
    Networks,
    Weights,
    discriminator_loss,
    generator_terms,
    lsgan_loss,
)
from garbage_synth.gan.networks import GeneratorSpec, PatchDiscriminator, init_weights


def four(seed: int = 0) -> Networks:
    rng = torch.Generator().manual_seed(seed)
    members: list[nn.Module] = [GeneratorSpec("resnet6", 2).build() for _ in range(2)]
    members += [PatchDiscriminator(2) for _ in range(2)]
    for member in members:
        init_weights(member, rng, 0.2)
    return Networks(*members)


def pictures(seed: int) -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_lsgan_is_squared_per_patch_and_then_averaged() -> None:
    # patches 0 and 2 are both wrong by 1 about the target 1; averaging the map first would call them perfect
    assert lsgan_loss(torch.tensor([[[[0.0, 2.0]]]]), 1.0).item() == 1.0
    verdicts = torch.randn(1, 1, 30, 30, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.5
    assert lsgan_loss(verdicts, 1.0).item() == pytest.approx(0.5, abs=0.05)
    assert (verdicts.mean() - 1).square().item() == pytest.approx(0.25, abs=0.05)


def test_lsgan_of_half_precision_is_computed_in_float32() -> None:
    loss = lsgan_loss(torch.full((1, 1, 30, 30), 0.5, dtype=torch.bfloat16), 0.0)
    assert loss.dtype == torch.float32
    assert loss.item() == 0.25


def test_generator_terms_equal_the_paper_written_out() -> None:
    nets, x, y = four(), pictures(1), pictures(2)
    l1 = functional.l1_loss
    fake_y, fake_x = nets.to_real(x), nets.to_synthetic(y)
    expected = {
        "adversarial_real": (nets.judge_real(fake_y) - 1).square().mean(),
        "adversarial_synthetic": (nets.judge_synthetic(fake_x) - 1).square().mean(),
        "cycle_synthetic": l1(nets.to_synthetic(fake_y), x),
        "cycle_real": l1(nets.to_real(fake_x), y),
        "identity_real": l1(nets.to_real(y), y),
        "identity_synthetic": l1(nets.to_synthetic(x), x),
    }
    weights = {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
    total = sum(weights[name.partition("_")[0]] * value for name, value in expected.items())
    assert isinstance(total, Tensor)
    wanted = torch.autograd.grad(total, list(nets.to_real.parameters()))

    got = generator_terms(nets, x, y, Weights(cycle=10.0, identity_ratio=0.5))
    assert set(got.terms) == set(expected)
    for name, value in expected.items():
        assert got.terms[name].item() == pytest.approx(value.item(), rel=1e-5)
    assert got.total.item() == pytest.approx(total.item(), rel=1e-5)
    assert torch.allclose(got.fake_real, fake_y, atol=1e-5)
    for gradient, reference in zip(
        torch.autograd.grad(got.total, list(nets.to_real.parameters())), wanted, strict=True
    ):
        assert torch.allclose(gradient, reference, rtol=1e-3, atol=1e-4)


def test_joint_batch_of_real_and_identity_equals_separate_calls() -> None:
    nets, x, y = four(), pictures(1), pictures(2)
    joint_fake, joint_same = nets.to_real(torch.cat([x, y])).split(2)
    assert torch.allclose(joint_fake, nets.to_real(x), atol=1e-5)
    assert torch.allclose(joint_same, nets.to_real(y), atol=1e-5)


@pytest.mark.parametrize("weights", [Weights(10.0, 0.0), Weights(0.0, 0.5)])
def test_identity_is_left_out_where_its_weight_is_zero(weights: Weights) -> None:
    nets, x, y = four(), pictures(1), pictures(2)
    got = generator_terms(nets, x, y, weights)
    assert not any(name.startswith("identity") for name in got.terms)
    adversarial = got.terms["adversarial_real"] + got.terms["adversarial_synthetic"]
    cycle = got.terms["cycle_real"] + got.terms["cycle_synthetic"]
    assert got.total.item() == pytest.approx((adversarial + weights.cycle * cycle).item(), rel=1e-5)


def test_discriminator_loss_is_halved_and_equals_separate_calls() -> None:
    judge, x, y = four().judge_real, pictures(1), pictures(2)
    expected = 0.5 * ((judge(x) - 1).square().mean() + judge(y).square().mean())
    assert discriminator_loss(judge, x, y).item() == pytest.approx(expected.item(), rel=1e-5)


def test_handed_on_pictures_and_terms_carry_no_gradient_history() -> None:
    got = generator_terms(four(), pictures(1), pictures(2), Weights())
    assert got.total.requires_grad
    assert not got.fake_real.requires_grad
    assert not got.fake_synthetic.requires_grad
    assert not any(term.requires_grad for term in got.terms.values())
