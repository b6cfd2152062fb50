import contextlib
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from garbage_synth.core.types import Split
from garbage_synth.detect.class_match import all_as_one, match_classes
from garbage_synth.detect.coco_eval import boxes_of, evaluated
from garbage_synth.detect.detections import Detections
from garbage_synth.detect.scores import Scores, score
from tests.detect.truths import CATEGORIES, NAMES, NOTHING, box, found, perfect, random_case, split_of

A, B, C = (10, 10, 60, 60), (100, 100, 180, 160), (300, 200, 420, 320)
ONE, HALF = pytest.approx(1), pytest.approx(0.5)
CAN, PAPER = NAMES.index("can"), NAMES.index("paper")


def scored(split: Split, detections: dict[int, Detections], **choice: Any) -> Scores:
    return score(split, detections, match_classes(split, CATEGORIES, NAMES, **choice))


def raw_coco_eval(split: Split, detections: dict[int, Detections], *, classes: bool) -> list[float]:
    """The twelve numbers of COCOeval as it stands, on documents with the ids that it takes."""
    truth, results = COCO(), COCO()
    head = {
        "images": [{"id": record.id} for record in split.images],
        "categories": [{"id": key, "name": name} for key, name in CATEGORIES.items()],
    }
    ids = {name: key for key, name in CATEGORIES.items()}
    entries = [
        {
            "id": number,
            "image_id": one.image_id,
            "category_id": one.category_id,
            "bbox": list(one.bbox_xywh),
            "area": one.area,
            "iscrowd": one.iscrowd,
        }
        for number, one in enumerate(split.annotations, start=1)
    ]
    lines = [
        {
            "image_id": key,
            "category_id": ids[NAMES[position]],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": value,
        }
        for key, own in detections.items()
        for (x0, y0, x1, y1), position, value in zip(own.boxes_xyxy, own.classes, own.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = {**head, "annotations": entries}
        truth.createIndex()
        results = truth.loadRes(lines)
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.params.useCats = int(classes)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers: list[float] = evaluation.stats.tolist()
    return numbers


def test_a_case_computed_by_hand() -> None:
    # Three cans. By score: a hit of IoU 0.81, a false one, a hit of IoU 1. Precision 1, 1/2, 2/3; recall 1/3, 1/3, 2/3.
    split = split_of([box(1, 3, A, key=1), box(1, 3, B, key=2), box(2, 3, C, key=3)])
    shifted = (10, 10, 60, 50.5)  # 40.5 of 50 rows
    detections = {1: found((shifted, CAN, 0.9), (B, CAN, 0.5)), 2: found((A, CAN, 0.7))}
    result = scored(split, detections)
    # of the recalls 0, 0.01, ... 1: 34 up to 1/3 with precision 1, 33 up to 2/3 with 2/3, then 0
    loose = (34 + 33 * 2 / 3) / 101
    strict = 34 * (1 / 3) / 101  # at IoU 0.85 and more only the last is right: precision 1/3
    assert result.ap50 == result.ap75 == pytest.approx(loose)
    assert result.ap == pytest.approx((7 * loose + 3 * strict) / 10)
    assert result.ar100 == pytest.approx((7 * 2 / 3 + 3 * 1 / 3) / 10)
    assert result.per_class["can"].instances == result.instances == 3
    assert result.per_class["paper"] == replace(result.per_class["paper"], ap=None, ap50=None, ar100=None, instances=0)
    # F1 is 2/4, 2/5, 4/6 at the three scores
    assert result.best.threshold == 0.5
    assert result.best.f1 == result.best.precision == result.best.recall == pytest.approx(2 / 3)
    assert result.curves.recall.shape == (101,)
    assert result.curves.at_iou[0.5][CAN, [0, 33, 34, 66, 67]] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])
    assert np.isnan(result.curves.at_iou[0.5][PAPER]).all()
    assert (result.curves.mean(0.5) == result.curves.at_iou[0.5][CAN]).all()


def test_pictures_tell_hits_misses_and_inventions_at_the_best_threshold() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 3, B, key=2), box(2, 7, C, key=3)])
    detections = {1: found((A, CAN, 0.9), (C, CAN, 0.3)), 2: found((C, PAPER, 0.8), (A, PAPER, 0.85), (B, CAN, 0.2))}
    result = scored(split, detections)
    assert result.best.threshold == 0.8
    one, two = result.pictures
    assert (one.image_id, one.errors, two.image_id, two.errors) == (1, 1, 2, 1)
    assert one.hits.boxes_xyxy.tolist() == [list(A)]
    assert one.missed_xyxy.tolist() == [list(B)]
    assert one.missed_classes.tolist() == [CAN]
    assert len(one.false) == 0
    assert two.false.boxes_xyxy.tolist() == [list(A)]
    assert (two.false.classes.tolist(), two.false.scores.tolist()) == ([PAPER], [0.85])


def test_an_item_found_as_another_class_is_confused_and_neither_missed_nor_false() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 7, B, key=2), box(1, 3, C, key=3), box(2, 3, A, key=4)])
    shifted = (105, 100, 185, 160)
    detections = {
        1: found((A, CAN, 0.9), (A, PAPER, 0.8), (shifted, CAN, 0.7), (B, CAN, 0.65), (C, CAN, 0.6), (C, CAN, 0.1)),
        2: found((A, CAN, 0.55)),
    }
    result = scored(split, detections)
    assert result.best.threshold == 0.55
    one, _ = result.pictures
    assert one.hits.boxes_xyxy.tolist() == [list(A), list(C)]
    # the better of the two cans on the paper takes it, the other is one too many, as the paper on the found can is
    assert one.confused.boxes_xyxy.tolist() == [list(shifted)]
    assert (one.confused.classes.tolist(), one.confused_with.tolist()) == ([CAN], [PAPER])
    assert one.false.boxes_xyxy.tolist() == [list(A), list(B)]
    assert (len(one.missed_xyxy), one.missed_classes.tolist(), one.errors) == (0, [], 3)
    numbers = result.numbers()["confusion"]
    assert {name: counts for name, counts in numbers["found"].items() if counts} == {
        "can": {"can": 3},
        "paper": {"can": 1},
    }
    assert sum(numbers["missed"].values()) == 0
    assert {name: count for name, count in numbers["false"].items() if count} == {"can": 1, "paper": 1}


@pytest.mark.parametrize("seed", range(4))
def test_confusion_counts_every_item_and_every_detection_once(seed: int) -> None:
    split, detections = random_case(seed)
    result = scored(split, detections)
    numbers = result.numbers()["confusion"]
    found_, missed, false = numbers["found"], numbers["missed"], numbers["false"]
    for name, group in result.per_class.items():
        assert sum(found_[name].values()) + missed[name] == group.instances
    counted = [  # the detections that a crowd does not take, at the threshold and above
        score >= result.best.threshold and not ignored
        for entry in evaluated(boxes_of(split, detections, match_classes(split, CATEGORIES, NAMES))).evalImgs
        if entry is not None
        for score, ignored in zip(entry["dtScores"], entry["dtIgnore"][0], strict=True)
    ]
    assert sum(false.values()) + sum(sum(counts.values()) for counts in found_.values()) == sum(counted)
    low, high = result.numbers()["ap_interval"]
    assert low < result.ap < high
    assert result.best.recall == pytest.approx(sum(own.get(name, 0) for name, own in found_.items()) / result.instances)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_coco_eval(seed: int) -> None:
    split, detections = random_case(seed)
    raw = raw_coco_eval(split, detections, classes=True)
    result = scored(split, detections)
    ours = [result.ap, result.ap50, result.ap75, *(result.by_size[name].ap for name in ("small", "medium", "large"))]
    assert [-1 if value is None else value for value in ours] == pytest.approx(raw[:6], abs=1e-12)
    assert result.ar100 == pytest.approx(raw[8], abs=1e-12)


def test_perfect_detections_score_1_and_leave_no_error() -> None:
    split, _ = random_case(5)
    plain = Split(split.images, tuple(replace(one, iscrowd=0) for one in split.annotations))
    result = scored(plain, perfect(plain, CATEGORIES, NAMES))
    groups = [result, *result.per_class.values(), *result.by_size.values(), *result.by_visible.values()]
    for group in groups:
        assert (group.ap, group.ap50, group.ar100) == pytest.approx((1, 1, 1))
    assert sum(band.instances for band in result.by_visible.values()) == len(plain.annotations)
    assert not any(picture.errors for picture in result.pictures)
    assert result.best.f1 == 1


def test_annotation_id_0_and_category_ids_change_nothing() -> None:
    split = split_of([box(1, 3, A, key=0)])
    result = scored(split, {1: found((A, CAN, 0.9)), 2: NOTHING})
    assert result.ap == pytest.approx(1)
    assert not result.pictures[0].errors


def test_what_is_not_defined_is_none() -> None:
    empty = scored(split_of([]), {1: found((A, CAN, 0.9)), 2: NOTHING})
    assert (empty.ap, empty.ap50, empty.ap75, empty.ar100, empty.instances) == (None, None, None, None, 0)
    assert empty.best.f1 is None
    assert empty.best.threshold == 0.5
    assert len(empty.pictures[0].false) == 1
    assert np.isnan(empty.curves.mean(0.5)).all()
    nothing = scored(split_of([box(1, 3, A)]), {1: NOTHING, 2: NOTHING})
    assert (nothing.ap, nothing.ar100, nothing.best.f1, nothing.best.precision) == (0, 0, 0, None)
    assert nothing.by_size["medium"].ap == 0
    assert nothing.by_size["small"].ap is None
    assert nothing.by_visible == {}
    json.dumps(empty.numbers(), allow_nan=False)


def test_a_visible_band_ignores_the_boxes_outside_it_but_no_invention() -> None:
    split = split_of([box(1, 3, A, key=1, visible_fraction=0.3), box(1, 3, B, key=2, visible_fraction=1.0)])
    both = scored(split, {1: found((A, CAN, 0.8), (B, CAN, 0.9)), 2: NOTHING})
    assert [(band.ap50, band.instances) for band in both.by_visible.values()] == [(ONE, 1), (None, 0), (ONE, 1)]
    only_clear = scored(split, {1: found((B, CAN, 0.9)), 2: NOTHING})
    assert [band.ap50 for band in only_clear.by_visible.values()] == [0, None, ONE]
    invented = scored(split, {1: found((A, CAN, 0.8), (B, CAN, 0.9)), 2: found((C, CAN, 0.95))})
    assert [band.ap50 for band in invented.by_visible.values()] == [HALF, None, HALF]


def test_bands_are_half_open_and_boxes_without_a_visible_fraction_are_in_none() -> None:
    split = split_of(
        [
            box(1, 3, A, key=1, visible_fraction=0.5),
            box(1, 3, B, key=2, visible_fraction=0.9),
            box(2, 3, C, key=3, visible_fraction=1.0),
            box(2, 3, A, key=4),
        ]
    )
    result = scored(split, perfect(split, CATEGORIES, NAMES))
    assert [band.instances for band in result.by_visible.values()] == [0, 1, 2]
    assert result.by_visible["0.5 to 0.9"].ap50 == ONE


def test_crowds_are_neither_missed_nor_wrong_to_find() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 3, C, key=2, crowd=1)])
    inside = (310, 210, 340, 240), (350, 250, 380, 280)
    result = scored(split, {1: found((A, CAN, 0.5), *((one, CAN, 0.9) for one in inside)), 2: NOTHING})
    assert result.ap == ONE
    assert result.instances == 1
    assert result.pictures[0].errors == 0
    assert len(result.pictures[0].hits) == 1
    alone = scored(split, {1: found((A, CAN, 0.5)), 2: NOTHING})
    assert alone.ap == ONE
    assert alone.pictures[0].errors == 0


def test_equal_scores_are_not_parted_by_the_threshold() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 3, B, key=2)])
    result = scored(split, {1: found((A, CAN, 0.9), (B, CAN, 0.5), (C, CAN, 0.5)), 2: found((C, CAN, 0.5))})
    # with all at 0.5 there are two hits of four: 2 * 2 / (4 + 2); one alone has 2 * 1 / (1 + 2), which is no less
    assert (result.best.threshold, result.best.f1) == (0.9, pytest.approx(2 / 3))


def test_scoring_some_classes_leaves_their_numbers_as_they_are() -> None:
    split, detections = random_case(1)
    whole, part = scored(split, detections), scored(split, detections, classes=["can"])
    assert part.names == ("can",)
    assert part.per_class["can"] == whole.per_class["can"]
    assert part.ap == whole.per_class["can"].ap


def test_categories_that_become_one_class_are_scored_as_one() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 7, B, key=2)])
    match = match_classes(split, CATEGORIES, ("waste",), class_map={"can": "waste", "paper": "waste"})
    result = score(split, {1: found((A, 0, 0.9), (B, 0, 0.8)), 2: NOTHING}, match)
    assert result.per_class["waste"].instances == 2
    assert result.ap == ONE


def test_classes_as_one_are_those_of_coco_eval_without_categories() -> None:
    split, detections = random_case(2)
    sparse = {key: own.at(np.arange(len(own))[:1]) for key, own in detections.items()}  # no duplicates to remove
    result = score(split, sparse, all_as_one(CATEGORIES, NAMES))
    raw = raw_coco_eval(split, sparse, classes=False)
    assert [result.ap, result.ap50, result.ap75] == pytest.approx(raw[:3], abs=1e-12)


def test_classes_as_one_count_a_box_once_whatever_it_is_called() -> None:
    split = split_of([box(1, 3, A, key=1)])
    twice = {1: found((A, PAPER, 0.9), (A, CAN, 0.8), (C, CAN, 0.1)), 2: NOTHING}
    result = score(split, twice, all_as_one(CATEGORIES, NAMES))
    assert result.ap == ONE
    assert result.names == ("any",)
    assert result.pictures[0].errors == 0
    assert scored(split, twice).per_class["can"].ap == ONE  # by classes, paper has no box and is not scored


def test_classes_as_one_ignore_the_boxes_of_those_not_asked_for() -> None:
    split = split_of([box(1, 3, A, key=1), box(1, 7, B, key=2)])
    match = all_as_one(CATEGORIES, NAMES, classes=["can"])
    for entries in ([(B, CAN, 0.9), (A, CAN, 0.8)], [(A, CAN, 0.8)]):
        result = score(split, {1: found(*entries), 2: NOTHING}, match)
        assert (result.ap, result.instances) == (ONE, 1)
        assert result.pictures[0].errors == 0


def test_only_a_hundred_detections_of_a_class_count() -> None:
    split = split_of([box(1, 3, A, key=1)])
    many = [((300, 300, 310 + n, 310), CAN, 0.9) for n in range(100)]
    result = scored(split, {1: found(*many, (A, CAN, 0.5)), 2: NOTHING})
    assert result.ap == 0


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scored(*random_case(3))
    assert capsys.readouterr().out == ""
