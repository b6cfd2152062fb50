import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from garbage_synth.gan.networks import (
    DISCRIMINATOR_MIN_SIDE,
    GENERATOR_MIN_SIDE,
    Generator,
    GeneratorName,
    GeneratorSpec,
    PatchDiscriminator,
    ResnetGenerator,
    WarpGenerator,
    count_parameters,
    init_weights,
)
from garbage_synth.gan.warp import PITCH_PX


def seeded(network: nn.Module) -> nn.Module:
    init_weights(network, torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize(
    ("name", "count"),
    # a warp generator without u has as many as the paper's of the same blocks
    [("resnet9", 11_378_179), ("resnet6", 7_837_699), ("warp", 11_378_179), ("warp6", 7_837_699)],
)
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
    warping = GeneratorSpec("warp", 2, 4.0).build()
    for network in (GeneratorSpec("resnet9", 2).build(), warping, PatchDiscriminator(2)):
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


def test_warp_generator_leaves_no_grid_and_no_borders_on_even_ground() -> None:
    """Beside texture, which gives the norms something to scale by, and up to three borders; the paper's layers do."""
    picture = torch.full((1, 3, 64, 256), 0.3)
    picture[..., :64] = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    even = slice(208, None)  # out of reach of the texture
    network = shaken(4.0)
    assert isinstance(network, WarpGenerator)
    features = network.trunk(picture)
    residual, grid = network.residual_head(features), network.grid(features)
    assert grid is not None
    assert residual.std((2, 3)).min() > 0.1
    assert residual[..., even].std((2, 3)).max() < 1e-4
    assert grid[..., :2].std((2, 3)).min() > 0.01
    assert grid[..., 208 // PITCH_PX + 1 :].std((2, 3)).max() < 1e-4
    papers = shake(GeneratorSpec("resnet6", 4).build())
    assert isinstance(papers, ResnetGenerator)
    assert papers.body(picture)[..., even].std((2, 3)).max() > 0.1


def test_warp_generator_enlarges_by_repeating_pixels_and_convolving() -> None:
    network = GeneratorSpec("warp6", 4).build()
    assert isinstance(network, WarpGenerator)
    mirror, enlarge = network.residual_head[:2]
    with torch.no_grad():
        for parameter in enlarge.parameters():
            parameter.normal_()
    ours = dict(enlarge.named_parameters())
    features = torch.rand(2, 16, 5, 7)
    repeated = functional.interpolate(mirror(features), scale_factor=2)
    weight = ours["parametrizations.weight.original"].transpose(0, 1)
    expected = functional.conv2d(repeated, weight, ours["bias"])[:, :, 1:-1, 1:-1]
    assert enlarge(mirror(features)).shape == (2, 8, 10, 14)
    assert torch.allclose(enlarge(mirror(features)), expected, atol=1e-4)


@pytest.mark.parametrize("warp_max_px", [0.0, 4.0])
@pytest.mark.parametrize("size_hw", [(8, 8), (64, 64), (36, 100)])
def test_new_warp_generator_is_the_identity(warp_max_px: float, size_hw: tuple[int, int]) -> None:
    network = seeded(GeneratorSpec("warp6", 4, warp_max_px).build())
    image = torch.rand(2, 3, *size_hw) * 2 - 1
    assert torch.equal(network(image), image)


def test_new_warp_generator_learns_in_its_first_step_where_to_move_and_what_to_add() -> None:
    network = seeded(GeneratorSpec("warp6", 4, 4.0).build())
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    (network(image) - image.roll(1, 3)).abs().mean().backward()  # type: ignore[no-untyped-call]
    learning = {name for name, own in network.named_parameters() if own.grad is not None and own.grad.any()}
    assert isinstance(network, WarpGenerator)
    assert network.grid_head is not None
    last = {
        f"{name}.{len(head) - 1}"
        for name, head in (("residual_head", network.residual_head), ("grid_head", network.grid_head))
    }
    assert learning == {f"{layer}.{own}" for layer in last for own in ("weight", "bias")}


def test_generator_without_displacement_has_no_head_for_it() -> None:
    still, moving = (GeneratorSpec("warp6", 4, px).build() for px in (0.0, 4.0))
    more = {name for name, _ in moving.named_parameters()} - {name for name, _ in still.named_parameters()}
    assert more
    assert all(name.startswith("grid_head.") for name in more)
    assert still.with_displacement(torch.zeros(1, 3, 16, 16))[1] is None


def test_displacement_is_told_in_pixels_and_bounded_also_in_mixed_precision() -> None:
    network = shaken(4.0)
    image = torch.rand(2, 3, 68, 36) * 2 - 1
    picture, u = network.with_displacement(image)
    assert u is not None
    assert u.shape == (2, 2, 68, 36)
    assert 0.5 < u.abs().max() <= 4.0
    assert torch.equal(picture, network(image))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        picture, mixed = network.with_displacement(image)
    assert mixed is not None
    assert picture.dtype == mixed.dtype == torch.float32
    assert 0 < (mixed - u).abs().max() < 0.5


def test_residual_is_free_to_turn_white_into_black_and_keeps_its_slope() -> None:
    network = seeded(GeneratorSpec("warp6", 4).build())
    assert isinstance(network, WarpGenerator)
    bias = network.residual_head[-1].get_parameter("bias")
    white = torch.ones(1, 3, 16, 16)
    with torch.no_grad():
        bias.fill_(1e-3)
        assert torch.allclose(network(white) - white, torch.tensor(1e-3), atol=1e-6)
        bias.fill_(-20.0)
        assert torch.allclose(network(white), -white)


@pytest.mark.parametrize("name", ["resnet6", "warp6"])
def test_generators_of_the_paper_tell_no_displacement_and_others_do(name: GeneratorName) -> None:
    network = GeneratorSpec(name, 2, 4.0).build()
    picture, u = network.with_displacement(torch.rand(1, 3, 16, 16))
    assert picture.shape == (1, 3, 16, 16)
    assert (u is None) == (name == "resnet6")


def test_displacement_that_could_fold_is_refused() -> None:
    for px in (-1.0, 8.0):
        with pytest.raises(ValueError, match="warp_max_px"):
            GeneratorSpec("warp6", 2, px).build()


def shaken(warp_max_px: float) -> Generator:
    """A warp generator far from the identity."""
    return shake(GeneratorSpec("warp6", 4, warp_max_px).build())


def shake(network: Generator) -> Generator:
    """All weights drawn anew, large."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * 0.2)
    return network.requires_grad_(False)
