import pytest

from garbage_synth.detect.class_match import all_as_one, match_classes
from garbage_synth.errors import InputError
from tests.detect.truths import CATEGORIES, NAMES, box, found, split_of

A, B = (10, 10, 60, 60), (100, 100, 180, 160)
SPLIT = split_of([box(1, 3, A, key=1), box(2, 7, B, key=2)])


def test_names_match_whatever_their_order() -> None:
    match = match_classes(SPLIT, CATEGORIES, NAMES)
    assert match.names == ("paper", "can")
    assert match.of_category == {3: 1, 7: 0}
    assert match.of_detector == {0: 0, 1: 1}
    assert match.detector_only == ()


def test_detections_of_classes_that_the_truth_lacks_are_left_out_and_named() -> None:
    match = match_classes(SPLIT, CATEGORIES, ("glass", "can", "paper"))
    assert match.detector_only == ("glass",)
    scored = match.scored(found((A, 0, 0.9), (B, 2, 0.8), (A, 1, 0.7)))
    assert scored.classes.tolist() == [1, 0]
    assert scored.scores.tolist() == [0.8, 0.7]


def test_some_classes_alone_leave_out_the_rest_without_a_note() -> None:
    match = match_classes(SPLIT, CATEGORIES, NAMES, classes=["paper"])
    assert (match.names, match.of_category, match.detector_only) == (("paper",), {7: 0}, ())


def test_a_category_without_a_box_needs_no_class() -> None:
    match = match_classes(SPLIT, {**CATEGORIES, 9: "wood"}, NAMES)
    assert 9 not in match.of_category


def test_what_does_not_match_is_one_line_with_both_lists_and_the_next_step() -> None:
    with pytest.raises(InputError) as caught:
        match_classes(SPLIT, CATEGORIES, ("Can", "paper", "glass"))
    text = str(caught.value)
    assert "\n" not in text
    assert "the detector has no class can" in text
    assert "the truth has can, paper" in text
    assert "the detector Can, paper, glass" in text
    assert "--map can=Can" in text
    assert "--class-agnostic" in text


@pytest.mark.parametrize(
    ("class_map", "classes", "said"),
    [
        ({"cann": "can"}, None, "--map: the truth has no class 'cann'; did you mean can"),
        ({"can": "xyz"}, None, "--map: the detector has no class 'xyz'; known are paper, can"),
        (None, ["Paper"], "--classes: the truth has no class 'Paper'; did you mean paper"),
        (None, [], "--classes: the truth has no class ''; known are can, paper"),
    ],
)
def test_unknown_names_are_refused(class_map: dict[str, str] | None, classes: list[str] | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        match_classes(SPLIT, CATEGORIES, NAMES, class_map=class_map, classes=classes)


def test_as_one_names_play_no_part_and_the_better_of_two_that_overlap_stays() -> None:
    match = all_as_one(CATEGORIES, ("x", "y"))
    near = (12, 10, 62, 60)
    scored = match.scored(found((A, 0, 0.6), (near, 1, 0.9), (B, 0, 0.5)))
    assert scored.boxes_xyxy.tolist() == [list(near), list(B)]
    assert scored.classes.tolist() == [0, 0]


def test_as_one_keeps_what_overlaps_little() -> None:
    half = (35, 10, 85, 60)  # IoU 1/3
    assert len(all_as_one(CATEGORIES, NAMES).scored(found((A, 0, 0.6), (half, 0, 0.9)))) == 2
