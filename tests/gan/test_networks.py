import pytest
import torch
from torch import Tensor, nn

from garbage_synth.gan.networks import (
    DISCRIMINATOR_MIN_SIDE,
    GENERATOR_MIN_SIDE,
    GeneratorName,
    GeneratorSpec,
    PatchDiscriminator,
    count_parameters,
    init_weights,
)


def seeded(network: nn.Module) -> nn.Module:
    init_weights(network, torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize(("name", "count"), [("resnet9", 11_378_179), ("resnet6", 7_837_699)])
def test_generator_has_the_published_number_of_parameters(name: GeneratorName, count: int) -> None:
    with torch.device("meta"):
        assert count_parameters(GeneratorSpec(name).build()) == count


def test_discriminator_has_the_published_number_of_parameters_and_a_30x30_map_at_256() -> None:
    judge = PatchDiscriminator()
    assert count_parameters(judge) == 2_764_737
    with torch.inference_mode():
        assert judge(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_generator_returns_the_size_it_was_given_and_values_in_range() -> None:
    network = seeded(GeneratorSpec("resnet6", 4).build())
    image = torch.rand(2, 3, 32, 20) * 2 - 1
    translated = network(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1
    assert translated.std() > 0


def test_smallest_sides_work_and_smaller_ones_do_not() -> None:
    network, judge = seeded(GeneratorSpec("resnet6", 2).build()), seeded(PatchDiscriminator(2))
    assert network(torch.zeros(1, 3, GENERATOR_MIN_SIDE, GENERATOR_MIN_SIDE)).shape[-1] == GENERATOR_MIN_SIDE
    assert judge(torch.zeros(1, 3, DISCRIMINATOR_MIN_SIDE, DISCRIMINATOR_MIN_SIDE)).shape == (1, 1, 2, 2)
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.zeros(1, 3, 4, 4))


def test_train_and_eval_mode_give_the_same_output() -> None:
    network = seeded(GeneratorSpec("resnet6", 4).build())
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(network.train()(image), network.eval()(image))


def test_networks_hold_nothing_but_parameters() -> None:
    for network in (GeneratorSpec("resnet9", 2).build(), PatchDiscriminator(2)):
        assert list(network.buffers()) == []
        assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}


def test_norms_are_without_learned_scale() -> None:
    norms = [module for module in PatchDiscriminator(2).modules() if isinstance(module, nn.InstanceNorm2d)]
    assert len(norms) == 3
    assert not any(norm.affine or norm.track_running_stats for norm in norms)


def test_initial_weights_follow_the_paper_and_the_seed() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        network = GeneratorSpec("resnet6", 16).build()
        init_weights(network, torch.Generator().manual_seed(seed))
        return dict(network.named_parameters())

    first, again, other = weights(1), weights(1), weights(2)
    for name, values in first.items():
        assert torch.equal(values, again[name])
        if name.endswith("bias"):
            assert not values.any()
        else:
            assert not torch.equal(values, other[name])
    joined = torch.cat([values.flatten() for name, values in first.items() if name.endswith("weight")])
    assert joined.mean().item() == pytest.approx(0, abs=1e-4)
    assert joined.std().item() == pytest.approx(0.02, rel=0.01)


def test_border_is_mirrored_not_zero_padded() -> None:
    # On a constant picture every feature is constant where borders are mirrored; the zero-padded stride-2
    # convolutions of the paper are the only ones that see a border, so the first block must not.
    network = seeded(GeneratorSpec("resnet6", 4).build())
    first = nn.Sequential(*list(network.body)[:2])
    features = first(torch.full((1, 3, 12, 12), 0.3))
    assert torch.allclose(features, features[..., :1, :1].expand_as(features), atol=1e-6)
