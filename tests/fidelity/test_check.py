import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.base import load_config
from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.core.masks import box_of_mask
from garbage_synth.fidelity.check import LabelCheck
from garbage_synth.fidelity.verdicts import FrameVerdict, Label, Verdict
from tests.fidelity.scenes import SIZE_WH, Item, draw, label_of, mask_of, relit

TEXTURED, FLAT = Item(), Item(texture=0.0)
SMALL = Item(x=30, y=40, half_width=10, half_height=8)
check = LabelCheck()


def only(verdict: FrameVerdict) -> Verdict:
    (own,) = verdict.verdicts
    return own


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def box_distance(verdict: Verdict, item: Item) -> float:
    box = box_of_mask(mask_of(item))
    return float(np.abs(np.subtract(verdict.box_xyxy, box)).max())


@pytest.mark.parametrize("item", [TEXTURED, FLAT, SMALL])
def test_an_identical_picture_accepts_every_label_and_sees_no_motion(item: Item) -> None:
    image = draw([item])
    verdict = check(image, image, [label_of(item)])
    assert verdict.status == "kept"
    assert verdict.invented == ()
    own = only(verdict)
    assert own.status == "accepted"
    assert own.shift_px < 0.2
    assert own.drawn > 0.95
    assert own.e > 0.9
    assert own.q == 1
    assert own.box_xyxy == label_of(item).box_xyxy
    assert own.mask is None


@pytest.mark.parametrize("item", [TEXTURED, FLAT])
@pytest.mark.parametrize("motion", [(9.0, -5.0, 1.0), (-3.0, 11.0, 1.0), (2.0, 1.0, 1.12), (0.0, 0.0, 0.9)])
def test_a_moved_item_gets_the_box_and_mask_where_it_is_drawn(item: Item, motion: tuple[float, float, float]) -> None:
    moved = item.moved(*motion)
    own = only(check(draw([item]), relit(draw([moved], seed=7)), [label_of(item)]))
    assert own.status == "adjusted"
    assert own.shift_px == pytest.approx(np.hypot(*motion[:2]), abs=1.0)
    assert box_distance(own, moved) <= 2
    assert own.mask is not None
    assert box_of_mask(own.mask) == own.box_xyxy
    assert overlap(own.mask, mask_of(moved)) > 0.93


@pytest.mark.parametrize("item", [TEXTURED, FLAT, SMALL])
def test_an_erased_item_is_dropped(item: Item) -> None:
    other = Item(x=200, y=140, half_width=20, half_height=15)
    verdict = check(draw([item, other]), relit(draw([other], seed=7)), [label_of(item), label_of(other)])
    assert [own.status for own in verdict.verdicts] == ["dropped", "accepted"]
    assert verdict.verdicts[0].e < 0.25
    assert verdict.verdicts[0].box_xyxy == label_of(item).box_xyxy


@pytest.mark.parametrize("item", [TEXTURED, FLAT])
def test_what_is_left_of_a_half_erased_item_gets_its_own_box(item: Item) -> None:
    after, belt = draw([item], seed=7), draw([], seed=7)
    after[:, 130:] = belt[:, 130:]
    own = only(check(draw([item]), after, [label_of(item)]))
    left = mask_of(item)
    left[:, 130:] = False
    assert own.status == "adjusted"
    assert own.mask is not None
    assert overlap(own.mask, left) > 0.8
    assert own.drawn == pytest.approx(left.sum() / mask_of(item).sum(), abs=0.12)


@pytest.mark.parametrize("edge", [104, 112])
def test_of_an_item_of_which_little_is_left_the_label_is_dropped(edge: int) -> None:
    after, belt = draw([TEXTURED], seed=7), draw([], seed=7)
    after[:, edge:] = belt[:, edge:]
    assert only(check(draw([TEXTURED]), after, [label_of(TEXTURED)])).status == "dropped"


@pytest.mark.parametrize("item", [TEXTURED, FLAT, SMALL])
def test_light_colour_shadow_blur_and_noise_change_no_label(item: Item) -> None:
    own = only(check(draw([item]), relit(draw([item], seed=7)), [label_of(item)]))
    assert own.status == "accepted"
    assert own.shift_px == 0


def test_a_belt_with_a_pattern_that_stays_is_not_taken_for_the_item() -> None:
    def patterned(items: list[Item], seed: int) -> NDArray[np.uint8]:
        image = draw(items, seed=seed)
        inside = mask_of(FLAT) if items else np.zeros(image.shape[:2], np.bool_)
        stripes = np.zeros(image.shape[:2], np.uint8)
        stripes[:, ::9] = 60
        stripes[::9] = 60
        return np.where(inside[..., None], image, image + stripes[..., None])

    faint = [replace(FLAT, colour=85)]
    before = patterned(faint, 0)
    assert only(check(before, patterned(faint, 7), [label_of(FLAT)])).status == "accepted"
    assert only(check(before, patterned([], 7), [label_of(FLAT)])).status == "dropped"


def test_slow_light_across_the_place_of_an_erased_item_is_no_item() -> None:
    item = Item(y=0, texture=0)
    assert only(check(draw([item]), relit(draw([], seed=7)), [label_of(item)])).status == "dropped"


def test_a_dark_item_is_as_good_as_a_pale_one() -> None:
    dark = Item(colour=12, texture=0)
    before = draw([dark])
    assert only(check(before, relit(draw([dark], seed=7)), [label_of(dark)])).status == "accepted"
    assert only(check(before, relit(draw([], seed=7)), [label_of(dark)])).status == "dropped"


@pytest.mark.parametrize("item", [Item(x=2, y=90), Item(x=236, y=176), Item(x=120, y=0, texture=0)])
def test_an_item_at_the_edge_of_the_frame(item: Item) -> None:
    before = draw([item])
    assert only(check(before, relit(draw([item], seed=7)), [label_of(item)])).status == "accepted"
    assert only(check(before, relit(draw([], seed=7)), [label_of(item)])).status == "dropped"
    moved = item.moved(0, 8)
    own = only(check(before, draw([moved], seed=7), [label_of(item)]))
    x0, y0, x1, y1 = own.box_xyxy
    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= SIZE_WH[0]
    assert y1 <= SIZE_WH[1]


def test_an_item_that_moved_out_of_the_frame_is_dropped() -> None:
    item = Item(x=236, y=90, half_width=6, half_height=20)
    assert only(check(draw([item]), draw([item.moved(11)], seed=7), [label_of(item)])).status == "dropped"


@pytest.mark.parametrize("side", [1, 2, 4])
def test_items_of_a_few_pixels_have_a_verdict(side: int) -> None:
    image = draw([])
    image[60 : 60 + side, 80 : 80 + side] = 220
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[60 : 60 + side, 80 : 80 + side] = True
    label = Label((80, 60, 80 + side, 60 + side), mask)
    assert only(check(image, image, [label])).status == "accepted"
    assert only(check(image, draw([], seed=7), [label])).status == "dropped"


def test_a_label_without_a_mask_is_judged_by_its_box() -> None:
    box = Label(label_of(TEXTURED).box_xyxy)
    before = draw([TEXTURED])
    assert only(check(before, relit(draw([TEXTURED], seed=7)), [box])).status == "accepted"
    assert only(check(before, draw([], seed=7), [box])).status == "dropped"
    moved = TEXTURED.moved(9, -5)
    own = only(check(before, draw([moved], seed=7), [box]))
    assert own.status == "adjusted"
    assert own.mask is None
    assert box_distance(own, moved) <= 2


@pytest.mark.parametrize("box", [(300.0, 10.0, 340.0, 30.0), (20.0, 20.0, 20.0, 40.0), (-9.0, -9.0, -2.0, -2.0)])
def test_a_box_without_a_pixel_in_the_frame_is_dropped(box: tuple[float, float, float, float]) -> None:
    image = draw([TEXTURED])
    assert only(check(image, image, [Label(box)])).status == "dropped"


def test_a_frame_of_noise_is_rejected() -> None:
    items = [Item(x=60), Item(x=180), Item(x=120, y=160, half_height=14)]
    noise = np.random.default_rng(0).integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)
    verdict = check(draw(items), noise, [label_of(item) for item in items])
    assert verdict.status == "rejected"
    assert {own.status for own in verdict.verdicts} == {"dropped"}


def test_a_frame_is_rejected_above_its_part_of_dropped_labels() -> None:
    items = [Item(x=60), Item(x=180)]
    pair, labels = (draw(items), draw(items[:1], seed=7)), [label_of(item) for item in items]
    assert check(*pair, labels).status == "rejected"
    assert LabelCheck(load_config(FidelityConfig, None, ["reject_above=0.5"]))(*pair, labels).status == "kept"


def test_a_frame_without_labels_is_kept() -> None:
    verdict = check(draw([]), draw([], seed=7), [])
    assert (verdict.status, verdict.verdicts, verdict.invented) == ("kept", (), ())


def test_a_thing_that_appears_is_listed_and_one_that_was_there_is_not() -> None:
    kept, new = Item(x=60), Item(x=190, y=120, half_width=16, half_height=12)
    verdict = check(draw([kept]), relit(draw([kept, new], seed=7)), [label_of(kept)])
    x0, y0, x1, y1 = verdict.invented[0].box_xyxy
    centre = (x0 + x1) / 2, (y0 + y1) / 2
    assert np.hypot(centre[0] - new.x, centre[1] - new.y) < 8
    assert (x1 - x0) < 70
    both = check(draw([kept, new]), draw([kept, new], seed=7), [label_of(kept)])
    assert both.invented == ()
    for setting in ("invented.max_count=0", "invented.min_area_px=9999"):
        none = LabelCheck(load_config(FidelityConfig, None, [setting]))
        assert none(draw([kept]), draw([kept, new]), [label_of(kept)]).invented == ()


def test_pictures_and_masks_of_other_sizes_are_refused() -> None:
    image = draw([TEXTURED])
    with pytest.raises(ValueError, match="differ in shape"):
        check(image, image[:-1], [])
    with pytest.raises(ValueError, match="mask has shape"):
        check(image, image, [Label((0, 0, 4, 4), np.ones((4, 4), np.bool_))])


@pytest.mark.parametrize("size_wh", [(8, 8), (17, 40), (70, 12)])
def test_pictures_smaller_than_the_flows_pyramid_are_checked_too(size_wh: tuple[int, int]) -> None:
    image = draw([], size_wh=size_wh)
    image[3:7, 3:7] = 200
    assert only(check(image, image, [Label((3, 3, 7, 7))])).status == "accepted"


def test_the_task_is_picklable_and_gives_the_same_verdict() -> None:
    pair, labels = (draw([TEXTURED]), draw([TEXTURED.moved(4, 4)], seed=7)), [label_of(TEXTURED)]
    first, second = (task(*pair, labels).verdicts[0] for task in (check, pickle.loads(pickle.dumps(check))))
    assert (first.status, first.e, first.box_xyxy) == (second.status, second.e, second.box_xyxy)
