from dataclasses import replace

import numpy as np
import pytest

from garbage_synth.core.types import Split
from garbage_synth.detect.class_match import match_classes
from garbage_synth.detect.coco_eval import boxes_of, evaluated
from garbage_synth.detect.detections import Detections
from garbage_synth.detect.resampled import RESAMPLES, interval, picture_draws, resampled_ap
from tests.detect.truths import CATEGORIES, NAMES, NOTHING, box, found, random_case, split_of

A, B = (10, 10, 60, 60), (100, 100, 180, 160)
CAN, PAPER = NAMES.index("can"), NAMES.index("paper")


def ap_of(split: Split, detections: dict[int, Detections], draws: np.ndarray) -> np.ndarray:
    boxes = boxes_of(split, detections, match_classes(split, CATEGORIES, NAMES))
    areas = [(0.0, 1e10), (0.0, 32.0**2)]
    return resampled_ap(evaluated(boxes, areas=areas), draws)


def mean_of(split: Split, detections: dict[int, Detections]) -> float:
    precision = evaluated(boxes_of(split, detections, match_classes(split, CATEGORIES, NAMES))).eval["precision"]
    return float(precision[precision > -1].mean())


def repeated(split: Split, detections: dict[int, Detections], times: np.ndarray) -> tuple[Split, dict[int, Detections]]:
    """The split with each picture as often as said, as pictures of their own."""
    images, annotations, found_ = [], [], {}
    for record, count in zip(sorted(split.images, key=lambda one: one.id), times, strict=True):
        for _ in range(count):
            key = len(images) + 1
            images.append(replace(record, id=key))
            found_[key] = detections[record.id]
            own = [one for one in split.annotations if one.image_id == record.id]
            annotations += [replace(one, id=len(annotations) + n, image_id=key) for n, one in enumerate(own, start=1)]
    return Split(tuple(images), tuple(annotations)), found_


@pytest.mark.parametrize("seed", range(3))
def test_every_picture_once_is_the_ap_itself(seed: int) -> None:
    split, detections = random_case(seed)
    once = np.ones((1, len(split.images)), np.int64)
    assert ap_of(split, detections, once)[0] == pytest.approx(mean_of(split, detections), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_is_the_ap_of_a_split_that_has_its_pictures_so_often(seed: int) -> None:
    split, detections = random_case(seed)
    draws = np.random.default_rng(seed).integers(0, 4, (3, len(split.images)))
    expected = [mean_of(*repeated(split, detections, times)) for times in draws]
    assert ap_of(split, detections, draws) == pytest.approx(np.array(expected), abs=1e-12)


def test_a_class_without_boxes_in_a_draw_does_not_count_and_none_leaves_nothing() -> None:
    split = split_of([box(1, 3, A, key=1), box(2, 7, B, key=2)])  # a can, a paper
    detections = {1: found((A, CAN, 0.9)), 2: NOTHING}
    draws = np.array([[1, 1], [2, 0], [0, 2], [0, 0]])
    assert ap_of(split, detections, draws).tolist() == pytest.approx([0.5, 1, 0, np.nan], nan_ok=True)
    assert interval(np.array([np.nan]), 0.5) is None
    assert interval(np.array([0.5]), None) is None


def test_draws_are_the_same_every_time_and_of_as_many_pictures() -> None:
    draws = picture_draws(7)
    assert draws.shape == (RESAMPLES, 7)
    assert (draws.sum(1) == 7).all()
    assert (draws == picture_draws(7)).all()
    assert picture_draws(0).shape == (RESAMPLES, 0)
    assert draws.std(0).min() > 0.5  # and they differ: the count of a picture is about Poisson


def test_the_interval_has_no_bias_and_stays_a_precision() -> None:
    values = np.linspace(0.5, 0.7, 1001)
    assert interval(values, 0.55) == pytest.approx((0.455, 0.645))
    assert interval(values, 0.01) == (0, pytest.approx(0.105))
    assert interval(values, 0.99) == (pytest.approx(0.895), 1)


def test_the_interval_narrows_with_more_pictures_as_its_root() -> None:
    rng = np.random.default_rng(0)

    def width(pictures: int) -> float:
        values = rng.random(pictures) < 0.4
        low, high = interval(picture_draws(pictures) @ values / pictures, float(values.mean())) or (0, 0)
        return high - low

    assert width(100) == pytest.approx(2 * 1.96 * (0.24 / 100) ** 0.5, rel=0.2)
    assert width(1600) == pytest.approx(width(100) / 4, rel=0.3)
