import pytest
import torch
from torch import Tensor, nn

from garbage_synth.config.gan import LabelConfig
from garbage_synth.gan.item_finder import items_of
from garbage_synth.gan.label_terms import LabelTerms
from garbage_synth.gan.warp import warp

SIDE = 48


def scene() -> tuple[Tensor, Tensor]:
    """A picture of two textured items on a plain belt, float (1, 3, s, s), and its classes, uint8 (1, s, s)."""
    classes = torch.zeros((1, SIDE, SIDE), dtype=torch.uint8)
    classes[:, 8:22, 8:24] = 1
    classes[:, 28:42, 24:40] = 3
    texture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 0.2
    return torch.where(classes[:, None] > 0, texture, torch.tensor(-0.5)), classes


def value(terms: dict[str, tuple[float | Tensor, Tensor]], name: str) -> float:
    return float(terms[name][1])


def test_items_may_move_by_the_displacement_that_the_generator_tells_and_by_no_other() -> None:
    picture, classes = scene()
    u = torch.full((1, 2, SIDE, SIDE), 3.0)
    moved = warp(picture, u)
    labels = LabelTerms(LabelConfig(), classes)
    told = labels.terms(nn.Identity(), picture, moved, u)
    untold = labels.terms(nn.Identity(), picture, moved, None)
    assert value(told, "structure") < 0.02
    assert value(untold, "structure") > 0.5
    assert value(untold, "new_edges") >= value(told, "new_edges") == 0


def test_segmenter_is_asked_about_the_moved_items() -> None:
    picture, classes = scene()
    u = torch.full((1, 2, SIDE, SIDE), 4.0)
    truth = warp(items_of(classes)[:, None].float(), u)

    class Knows(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            return torch.cat([-20 * (2 * truth - 1), 20 * (2 * truth - 1)], dim=1)

    labels = LabelTerms(LabelConfig(), classes, Knows(), torch.ones(()))
    assert value(labels.terms(nn.Identity(), picture, picture, u), "semantic") < 0.05
    assert value(labels.terms(nn.Identity(), picture, picture, None), "semantic") > 1


def test_no_displacement_is_told_that_pays_by_itself() -> None:
    """The gradient goes through the picture alone, not through where items are looked for."""
    picture, classes = scene()
    u = torch.zeros((1, 2, SIDE, SIDE), requires_grad=True)
    terms = LabelTerms(LabelConfig(), classes).terms(nn.Identity(), picture, picture.clone().requires_grad_(), u)
    sum(float(weight) * term for weight, term in terms.values()).backward()  # type: ignore[union-attr]
    assert u.grad is None


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"structure", "new_edges"}),
        ({"structure": 0}, {"new_edges"}),
        ({"new_edges": 0}, {"structure"}),
    ],
)
def test_weight_of_zero_leaves_a_term_out(settings: dict[str, float], names: set[str]) -> None:
    picture, classes = scene()
    labels = LabelTerms(LabelConfig(**settings), classes)
    assert set(labels.terms(nn.Identity(), picture, picture, None)) == names


def test_without_masks_only_the_mirrored_pictures_are_left() -> None:
    picture, _ = scene()
    labels = LabelTerms(LabelConfig(), None, flip=True)
    assert set(labels.terms(nn.Identity(), picture, picture, None)) == {"flip"}
    assert labels.cycle_weight() is None
    assert LabelTerms(LabelConfig(cycle_item=0, cycle_edge=0), scene()[1]).cycle_weight() is None
