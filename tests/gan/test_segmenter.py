import pytest
import torch
from torch import Tensor

from garbage_synth.gan.segmenter import (
    JITTER_NUMBERS,
    Segmenter,
    init_segmenter,
    jitter_colours,
    overlap,
    segmentation_loss,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def segmenter(classes: int, channels: int, seed: int = 0) -> Segmenter:
    network = Segmenter(classes, channels)
    init_segmenter(network, generator(seed))
    return network


def maps(side: int = 32) -> Tensor:
    """Two class maps uint8: one of a class 1 and a class 2 item, one of an empty belt."""
    classes = torch.zeros(2, side, side, dtype=torch.uint8)
    classes[0, 4:14, 4:14] = 1
    classes[0, 18:26, 16:30] = 2
    return classes


def sure_of(classes: Tensor, count: int = 2) -> Tensor:
    """Logits that leave no doubt."""
    return 20.0 * torch.nn.functional.one_hot(classes.long(), count + 1).permute(0, 3, 1, 2).float()


def found_share(logits: Tensor, classes: Tensor) -> float:
    """Foreground Dice of a batch."""
    met, both = overlap(logits, classes).tolist()
    return met / both


def numbers(batch: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, JITTER_NUMBERS, generator=generator(seed))


@pytest.mark.parametrize("size_hw", [(32, 32), (36, 64)])
def test_logits_have_the_pictures_size_and_a_channel_for_the_belt(size_hw: tuple[int, int]) -> None:
    network = Segmenter(3, base_channels=2)
    logits = network(torch.rand(2, 3, *size_hw, generator=generator()))
    assert (logits.shape, logits.dtype) == ((2, 4, *size_hw), torch.float32)


def test_each_picture_is_judged_alone_and_the_same_in_training_and_after() -> None:
    network = segmenter(2, 2)
    images = torch.rand(2, 3, 32, 32, generator=generator())
    together = network(images)
    assert torch.allclose(together[:1], network(images[:1]), atol=1e-5)
    assert torch.equal(network.eval()(images), together)


def test_segmenter_sees_far_beyond_a_window() -> None:
    network = segmenter(1, 2)
    image = torch.rand(1, 3, 128, 128, generator=generator(), requires_grad=True)
    network(image)[0, 1, 64, 64].backward()
    assert image.grad is not None
    reached = image.grad.abs().sum(dim=(0, 1, 2)).nonzero()
    assert int(reached.max() - reached.min()) > 100


def test_initial_weights_follow_from_the_seed_and_keep_the_size_of_signals() -> None:
    first, again, other = (segmenter(3, 8, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    image = torch.randn(1, 3, 64, 64, generator=generator())
    for seed in range(3):
        assert 0.2 < segmenter(3, 8, seed)(image).std() < 5
    assert all(not first[name].any() for name in first if name.endswith("bias"))


def test_loss_is_small_for_the_truth_and_grows_with_what_is_missed() -> None:
    classes = maps()
    missed, invented, confused = maps(), maps(), maps()
    missed[0, 18:26, 16:30] = 0
    invented[1, 4:14, 4:14] = 1
    confused[0, 4:14, 4:14] = 2
    right = float(segmentation_loss(sure_of(classes), classes))
    assert right == pytest.approx(0.0, abs=1e-5)
    for wrong in (missed, invented, confused):
        assert segmentation_loss(sure_of(wrong), classes) > 0.5


def test_items_count_like_the_belt_however_small() -> None:
    even = torch.zeros(1, 3, 64, 64)
    small = torch.zeros(1, 64, 64, dtype=torch.uint8)
    small[:, :8, :8] = 1
    lost = sure_of(torch.zeros_like(small))
    large = small.clone()
    large[:, :32, :32] = 1
    assert segmentation_loss(lost, small) == pytest.approx(float(segmentation_loss(lost, large)), rel=0.15)
    assert segmentation_loss(even, small).isfinite()


def test_batch_without_items_or_without_belt_has_a_loss_and_gradients() -> None:
    for value in (0, 2):
        classes = torch.full((1, 32, 32), value, dtype=torch.uint8)
        logits = torch.randn(1, 3, 32, 32, generator=generator()).requires_grad_()
        segmentation_loss(logits, classes).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert logits.grad.isfinite().all()
        assert float(segmentation_loss(sure_of(classes), classes)) == pytest.approx(0.0, abs=1e-5)


def test_loss_of_a_batch_is_the_mean_of_the_losses_of_its_pictures() -> None:
    classes = maps()
    logits = torch.randn(2, 3, 32, 32, generator=generator())
    alone = [float(segmentation_loss(logits[[place]], classes[[place]])) for place in (0, 1)]
    assert alone[0] != pytest.approx(alone[1], rel=0.1)
    assert float(segmentation_loss(logits, classes)) == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_overlap_of_the_items_counts_beside_the_entropy() -> None:
    classes = maps()[:1]
    unsure = 0.1 * sure_of(classes)
    logits = unsure.log_softmax(dim=1)
    item = (classes > 0).float()
    lost = -logits.gather(1, classes.long().unsqueeze(1)).squeeze(1)
    entropy = 0.5 * ((lost * item).sum() / item.sum() + (lost * (1 - item)).sum() / (1 - item).sum())
    found = 1 - logits[:, 0].exp()
    soft = (2 * (found * item).sum() / (found.sum() + item.sum())).item()
    assert float(segmentation_loss(unsure, classes)) == pytest.approx(float(entropy) + 1 - soft, abs=0.03)


def test_overlap_is_of_items_and_belt_whatever_their_class() -> None:
    classes = maps()
    confused, half = maps(), maps()
    confused[confused == 1] = 2
    half[0, 4:9, 4:14] = 0
    half[0, 18:22, 16:30] = 0
    assert found_share(sure_of(classes), classes) == 1
    assert found_share(sure_of(confused), classes) == 1
    assert found_share(sure_of(half), classes) == pytest.approx(2 * 0.5 / 1.5)
    assert found_share(sure_of(torch.zeros_like(classes)), classes) == 0
    assert found_share(sure_of(classes), torch.zeros_like(classes)) == 0


def test_overlap_is_in_pixels_and_nothing_where_nothing_is() -> None:
    classes, half = maps(), maps()
    half[0, 4:9, 4:14] = 0
    met, both = overlap(sure_of(half), classes)
    assert (float(met), float(both)) == (2 * (212 - 50), 212 + 162)
    assert overlap(sure_of(classes[1:]), classes[1:]).tolist() == [0, 0]


def test_jitter_follows_from_its_numbers_and_moves_nothing() -> None:
    image = torch.full((1, 3, 32, 32), -0.5)
    image[..., 8:20, 10:24] = 0.5
    outline = (image.diff(dim=-1).abs() > 0)[:, :1]
    for seed in range(20):
        changed = jitter_colours(image, numbers(1, seed))
        assert torch.equal(changed, jitter_colours(image, numbers(1, seed)))
        assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
        assert changed.abs().max() <= 1
        steps = changed.mean(dim=1, keepdim=True).diff(dim=-1).abs()
        assert steps[outline].mean() > 1.5 * steps[~outline].mean()


def test_jitter_changes_each_picture_by_its_own_numbers() -> None:
    images = 2 * torch.rand(1, 3, 32, 32, generator=generator()).repeat(3, 1, 1, 1) - 1
    own = numbers(3)
    changed = jitter_colours(images, own)
    assert torch.allclose(changed[1:2], jitter_colours(images[1:2], own[1:2]), atol=1e-6)
    assert (changed[0] - changed[1]).abs().mean() > 0.05


@pytest.mark.parametrize("place", range(JITTER_NUMBERS))
def test_every_number_has_an_effect(place: int) -> None:
    image = 1.6 * torch.rand(1, 3, 16, 16, generator=generator()) - 0.8
    low, high = torch.full((1, JITTER_NUMBERS), 0.6), torch.full((1, JITTER_NUMBERS), 0.6)
    high[0, place] = 0.95
    assert (jitter_colours(image, low) - jitter_colours(image, high)).abs().max() > 0.005


def test_jitter_in_the_middle_is_nearly_the_picture_itself() -> None:
    gray = (1.6 * torch.rand(1, 1, 16, 16, generator=generator()) - 0.8).repeat(1, 3, 1, 1)
    assert torch.allclose(jitter_colours(gray, torch.full((1, JITTER_NUMBERS), 0.5)), gray, atol=1e-3)


def test_segmenter_learns_to_find_items_in_changed_colours() -> None:
    network = segmenter(2, 4)
    classes = maps()
    images = torch.tensor([-0.4, 0.5, 0.1])[classes.long()].unsqueeze(1).repeat(1, 3, 1, 1)
    parameters = list(network.parameters())
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    for step in range(40):
        loss = segmentation_loss(network(jitter_colours(images, numbers(2, step))), classes)
        for parameter, square, slope in zip(
            parameters, squares, torch.autograd.grad(loss, parameters), strict=True
        ):  # RMSprop by hand: the first use of torch.optim takes seconds
            square.mul_(0.9).addcmul_(slope, slope, value=0.1)
            parameter.data.addcdiv_(slope, square.sqrt() + 1e-6, value=-0.005)
    assert found_share(network(images), classes) > 0.8
