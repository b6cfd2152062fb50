"""Each loss against what it must see and what it must not."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from garbage_synth.gan.label_losses import (
    Regions,
    cycle_weight,
    flip_loss,
    luminance,
    new_edge_loss,
    regions_of,
    structure_loss,
)

SIDE = 64


def class_map(side: int = SIDE) -> Tensor:
    """An item of class 1 with one of class 2 touching it on the right, (1, side, side) uint8."""
    classes = torch.zeros(1, side, side, dtype=torch.uint8)
    classes[:, 20:40, 16:30] = 1
    classes[:, 20:40, 30:44] = 2
    return classes


def regions(edge_px: int = 3, ring_px: int = 6) -> Regions:
    return regions_of(class_map(), edge_px=edge_px, ring_px=ring_px)


def picture(classes: Tensor, grain: float = 0.02, seed: int = 0) -> Tensor:
    """Items of different brightness with a print on them, on a grainy belt; float (1, 3, h, w)."""
    level = torch.tensor([-0.3, 0.3, 0.0])[classes.long()].unsqueeze(1)
    stripes = 0.15 * (torch.arange(SIDE) // 3 % 2).float() * (classes > 0).unsqueeze(1)
    noise = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (level + stripes + grain * noise).repeat(1, 3, 1, 1)


def structure(translated: Tensor, original: Tensor) -> float:
    return float(structure_loss(translated, original, regions()))


def test_regions_are_zeros_and_ones_and_part_the_belt() -> None:
    own = regions()
    for each in (own.item, own.edge, own.ring, own.rest):
        assert (each.shape, each.dtype) == ((1, 1, SIDE, SIDE), torch.float32)
        assert set(each.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(torch.maximum(own.item, own.edge) + own.ring + own.rest, torch.ones(1, 1, SIDE, SIDE))


def test_edge_is_a_band_on_both_sides_also_between_items_that_touch() -> None:
    edge = regions(edge_px=3).edge[0, 0]
    assert edge[30, 10:20].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0]  # the outline lies between 15 and 16
    assert edge[30, 26:34].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]  # classes change between 29 and 30


def test_ring_reaches_as_far_as_a_shadow_may() -> None:
    own = regions(edge_px=3, ring_px=6)
    assert own.ring[0, 0, 30, 8:14].tolist() == [0, 0, 1, 1, 1, 0]
    assert own.rest[0, 0, 30, 8:14].tolist() == [1, 1, 0, 0, 0, 0]
    assert regions(edge_px=3, ring_px=0).ring.sum() == 0


@pytest.mark.parametrize("value", [0, 3])
def test_picture_of_one_class_has_no_edge_not_even_at_its_border(value: int) -> None:
    own = regions_of(torch.full((2, 16, 16), value, dtype=torch.uint8), edge_px=4, ring_px=8)
    assert own.edge.sum() == own.ring.sum() == 0
    assert own.item.mean() == (value > 0)
    assert own.rest.mean() == (value == 0)


def test_cycle_weight_has_mean_one_in_each_picture_and_the_wanted_ratios() -> None:
    classes = torch.cat([class_map(), torch.zeros_like(class_map())])
    own = regions_of(classes, edge_px=3, ring_px=6)
    weight = cycle_weight(own, item=1.0, edge=2.0)
    assert torch.allclose(weight.mean(dim=(1, 2, 3)), torch.ones(2))
    belt, inside, outline_inside, outline_outside = (weight[0, 0, 30, x] for x in (0, 23, 17, 14))
    ratios = [float(each / belt) for each in (inside, outline_inside, outline_outside)]
    assert ratios == pytest.approx([2.0, 4.0, 3.0])
    assert torch.equal(weight[1], torch.ones(1, SIDE, SIDE))
    assert torch.equal(cycle_weight(own, item=0.0, edge=0.0), torch.ones(2, 1, SIDE, SIDE))


def test_structure_is_blind_to_gain_offset_colour_and_slow_light() -> None:
    original = picture(class_map())
    light = torch.linspace(-0.3, 0.3, SIDE).expand(1, 3, SIDE, SIDE)
    tint = torch.tensor([1.2, 0.9, 0.6]).view(1, 3, 1, 1)
    assert abs(structure(original, original)) < 0.01
    for changed in (0.5 * original, original + 0.4, original + light, original * tint + 0.1, original * (1.2 + light)):
        assert structure(changed, original) < 0.06


def test_border_of_the_picture_is_as_blind_to_offset_as_its_middle() -> None:
    classes = class_map().roll((-20, -16), dims=(1, 2))
    own, original = regions_of(classes, edge_px=3, ring_px=6), picture(classes)
    assert structure_loss(original + 0.5, original, own) < 0.01


def test_structure_sees_erased_moved_and_inverted_items_in_this_order() -> None:
    original = picture(class_map())
    moved = picture(class_map().roll(5, dims=2))
    erased = picture(torch.zeros_like(class_map()))
    lost = [structure(changed, original) for changed in (original, moved, erased, -original)]
    assert lost[0] < 0.01
    assert lost[1] > 0.3
    assert lost[2] > 0.6
    assert lost[3] > 1.6 * lost[2]


def test_structure_sees_a_lost_print_less_than_a_lost_outline() -> None:
    original = picture(class_map())
    inside = regions().item * (1 - regions().edge)
    blank = torch.where(inside > 0, functional.avg_pool2d(original, 13, 1, 6), original)
    assert 0.02 < structure(blank, original) < structure(picture(torch.zeros_like(class_map())), original) / 2


def test_structure_leaves_grain_shadows_and_the_far_belt_alone() -> None:
    original = picture(class_map())
    assert structure(picture(class_map(), seed=1), original) < 0.06
    shadow = original - 0.4 * regions(edge_px=8, ring_px=12).ring
    assert structure(shadow, original) < 0.1  # the widest windows of an outline look into the ring
    classes = class_map().roll((-18, -14), dims=(1, 2))  # its outline is out of reach of the far corner
    own, original = regions_of(classes, edge_px=3, ring_px=6), picture(classes)
    elsewhere = original.clone()
    elsewhere[..., 52:] = elsewhere[..., 52:, :] = 1.0
    assert structure_loss(elsewhere, original, own) == structure_loss(original, original, own)


def test_noise_in_even_windows_counts_nothing() -> None:
    flat = torch.zeros(1, 3, SIDE, SIDE)
    noisy = flat + 0.01 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    assert structure(noisy, flat) < 1e-3
    assert structure(picture(class_map()), noisy) < 0.1


def test_new_object_on_the_empty_belt_is_seen_and_grain_is_not() -> None:
    original, own = picture(class_map()), regions()
    invented = original.clone()
    invented[..., 48:60, 48:60] = 0.4
    assert new_edge_loss(original, original, own, 0.1) == 0
    assert new_edge_loss(picture(class_map(), grain=0.05, seed=1), original, own, 0.1) < 1e-4
    assert new_edge_loss(original + 0.3 * torch.linspace(0, 1, SIDE), original, own, 0.1) == 0
    assert new_edge_loss(invented, original, own, 0.1) > 0.03
    assert new_edge_loss(original, invented, own, 0.1) == 0  # an edge that goes away


def test_edges_that_are_there_may_move_a_little_and_items_may_change() -> None:
    own = regions()
    belt = picture(torch.zeros_like(class_map()), grain=0.0)
    seam = belt.clone()
    seam[..., 50:52, :] = 0.5
    assert new_edge_loss(seam.roll(2, dims=2), seam, own, 0.1) == 0
    assert new_edge_loss(picture(class_map()), belt, own, 0.1) == 0
    assert new_edge_loss(seam, belt, own, 0.1) > new_edge_loss(seam, belt, own, 0.3) > 0


def test_terms_without_their_region_are_zero_and_still_differentiable() -> None:
    belt = regions_of(torch.zeros(1, SIDE, SIDE, dtype=torch.uint8), edge_px=3, ring_px=6)
    full = regions_of(torch.ones(1, SIDE, SIDE, dtype=torch.uint8), edge_px=3, ring_px=6)
    translated = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    original = picture(class_map())
    losses = (structure_loss(translated, original, belt), new_edge_loss(translated, original, full, 0.0))
    assert losses[0] == losses[1] == 0
    sum(losses, torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    assert translated.grad is not None
    assert translated.grad.isfinite().all()


def test_loss_of_a_batch_is_the_mean_of_the_losses_of_its_pictures() -> None:
    maps = torch.cat([class_map(), torch.zeros_like(class_map())])
    maps[1, 4:10, 4:12] = 1
    original, changed = (torch.cat([picture(own[None], seed=seed) for own in maps]) for seed in (0, 1))
    changed[0, :, 20:30, 16:24] = 0.0
    changed[1, :, 40:50, 40:50] = 0.6

    def losses(part: slice) -> list[float]:
        own = regions_of(maps[part], edge_px=3, ring_px=6)
        before, after = original[part], changed[part]
        return [float(structure_loss(after, before, own)), float(new_edge_loss(after, before, own, 0.1))]

    first, second = losses(slice(0, 1)), losses(slice(1, 2))
    assert all(abs(a - b) > 0.01 for a, b in zip(first, second, strict=True))
    assert losses(slice(0, 2)) == pytest.approx([(a + b) / 2 for a, b in zip(first, second, strict=True)], rel=1e-4)


def test_a_sliver_of_an_item_weighs_less_than_an_item() -> None:
    sliver = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    sliver[:, :2, :2] = 1
    own = regions_of(sliver, edge_px=1, ring_px=6)
    original = picture(class_map()).roll((-20, -16), dims=(2, 3))
    assert 0 < structure_loss(-original, original, own) < 0.5 * structure(-picture(class_map()), picture(class_map()))


@pytest.mark.parametrize("translated", [torch.zeros(2, 3, 32, 36), torch.ones(2, 3, 32, 36)])
def test_gradients_are_finite_where_nothing_varies(translated: Tensor) -> None:
    translated = translated.clone().requires_grad_()
    original = torch.rand(2, 3, 32, 36, generator=torch.Generator().manual_seed(0))
    own = regions_of((original[:, 0] > 0.5).to(torch.uint8), edge_px=1, ring_px=0)
    belt = Regions(own.item, own.edge, own.ring, torch.ones_like(own.rest))
    total = structure_loss(translated, original, own) + new_edge_loss(translated, original, belt, 0.0)
    total.backward()  # type: ignore[no-untyped-call]
    assert translated.grad is not None
    assert translated.grad.isfinite().all()
    assert translated.grad.abs().max() < 10


def test_all_is_computed_in_float32_also_under_autocast() -> None:
    original = picture(class_map())
    changed, own = picture(class_map(), seed=1), regions()
    plain = (structure_loss(changed, original, own), new_edge_loss(changed, original, own, 0.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = (structure_loss(changed, original, own), new_edge_loss(changed, original, own, 0.0))
        low = structure_loss(changed.bfloat16(), original, own)
    assert low.dtype == torch.float32
    assert [float(value) for value in inside] == [float(value) for value in plain]


def test_structure_pulls_an_erased_item_back() -> None:
    original, translated = picture(class_map()), picture(torch.zeros_like(class_map()))
    first = structure(translated, original)
    for _ in range(30):
        translated = translated.detach().requires_grad_()
        structure_loss(translated, original, regions()).backward()  # type: ignore[no-untyped-call]
        assert translated.grad is not None
        translated = translated - 0.02 * translated.grad.sign()
    assert structure(translated.detach(), original) < 0.3 * first


def test_flip_loss_is_zero_only_for_what_knows_no_left_and_right() -> None:
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    blur = lambda x: functional.avg_pool2d(x, 3, stride=1, padding=1)  # noqa: E731
    ramp = torch.linspace(0, 1, 16)
    assert flip_loss(blur, image, blur(image)) < 1e-6
    assert flip_loss(lambda x: x + ramp, image, image + ramp) == pytest.approx(
        float((ramp - ramp.flip(0)).abs().mean())
    )


def test_luminance_weighs_green_most_and_keeps_gray() -> None:
    gray = torch.full((1, 3, 2, 2), 0.4)
    assert torch.allclose(luminance(gray), torch.full((1, 1, 2, 2), 0.4))
    red, green, blue = (float(luminance(colour.view(1, 3, 1, 1))) for colour in torch.eye(3))
    assert green > red > blue > 0
