import math
from typing import Any

import pytest

from garbage_synth.report.ladder_table import gap_closed, ladder_table, mean, plateau, spread


def test_mean_and_spread_over_seeds() -> None:
    assert mean([0.1, 0.2, 0.6]) == pytest.approx(0.3)
    assert spread([0.1, 0.2, 0.6]) == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert (mean([]), spread([]), spread([0.4])) == (None, None, None)


def test_gap_closed_is_where_x_lies_between_the_ends() -> None:
    assert gap_closed(0.3, 0.2, 0.6) == pytest.approx(0.25)
    assert gap_closed(0.2, 0.2, 0.6) == 0
    assert gap_closed(0.6, 0.2, 0.6) == 1
    assert gap_closed(0.1, 0.2, 0.6) == pytest.approx(-0.25)
    assert gap_closed(0.8, 0.2, 0.6) == pytest.approx(1.5)


def test_a_gap_below_two_hundredths_is_undefined() -> None:
    assert gap_closed(0.11, 0.1, 0.119) is None
    assert gap_closed(0.11, 0.1, 0.05) is None
    assert gap_closed(0.11, 0.10, 0.12) == pytest.approx(0.5)  # 0.12 - 0.10 is less than 0.02 in floating point
    for values in ((None, 0.1, 0.5), (0.1, None, 0.5), (0.1, 0.2, None)):
        assert gap_closed(*values) is None


def test_the_curve_flattens_where_no_larger_number_gains_a_hundredth() -> None:
    assert plateau([(300, [0.2]), (1000, [0.3]), (3000, [0.309]), (9000, [0.31])]) == (1000, 0.01)
    assert plateau([(300, [0.2]), (1000, [0.3]), (3000, [0.32])]) == (None, 0.01)
    assert plateau([(300, [0.3]), (1000, [0.2])]) == (300, 0.01)
    assert plateau([(300, [0.3]), (1000, [0.29]), (3000, [0.4])])[0] is None  # a dip is no plateau
    assert plateau([]) == (None, 0.01)


def test_a_gain_within_the_spread_of_the_seeds_is_none() -> None:
    enough, tolerance = plateau([(300, [0.2, 0.26]), (1000, [0.25, 0.27])])
    assert tolerance == pytest.approx(math.sqrt((2 * 0.03**2 + 2 * 0.01**2) / 2))
    assert enough == 300


def results(**changes: Any) -> dict[str, Any]:
    arm = {
        "name": "naive paste",
        "ap_mean": 0.2,
        "ap_spread": 0.0123,
        "ap_interval": [0.1512, 0.25],
        "ap50_mean": 0.4,
        "gap_closed": 0.0,
        "train": {"images": 1200},
        "distances": {"swd": 41.26},
        "minutes": {"stages": 1.0, "training": 12.34},
    }
    other = {**arm, "name": "ours", "ap_mean": 0.3, "ap_spread": None, "ap_interval": None, "gap_closed": 0.254}
    return {
        "above": {},
        "arms": {"a": arm, "b": other},
        "commit": "abc",
        "curve": None,
        "detector": {"model": "fcos-small", "iterations": 1500, "epochs": None},
        "device": "CPU, 1 thread, fp32",
        "failed": {},
        "gap": {"from": "a", "to": "e", "undefined": None},
        "seeds": [0, 1],
        "test_set": {"name": "line/real", "split": "test", "images": 40, "annotations": 345, "class_agnostic": False},
        "version": "1.0",
        **changes,
    }


def test_the_table_says_every_arm_and_how_it_was_measured() -> None:
    assert ladder_table(results()).splitlines() == [
        "| arm | trained on | pictures | AP (mean ± spread) | 95 % interval | AP50 | gap closed | SWD | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
        "| a | naive paste | 1,200 | 0.200 ± 0.012 | 0.151 to 0.250 | 0.400 | 0% | 41.3 | 1.0 + 12.3 |",
        "| b | ours | 1,200 | 0.300 |  | 0.400 | 25% | 41.3 | 1.0 + 12.3 |",
        "",
        "AP on line/real, split test: 40 pictures, 345 items. ± is the sample standard deviation over the seeds "
        "(0, 1); the 95 % interval is over the choice of test pictures (bootstrap), none where evaluations do not tell "
        "it. SWD: sliced Wasserstein distance of the training pictures from the test pictures, smaller is nearer. "
        "Minutes: making the pictures + one training.",
        "",
        "Gap closed = (x - a) / (e - a).",
        "",
        "Detector fcos-small, 1,500 iterations, the same for every arm; CPU, 1 thread, fp32; garbage-synth 1.0, "
        "commit abc.",
    ]


def test_each_arm_is_compared_with_each_other() -> None:
    text = ladder_table(results(above={"a": {"b": 0.024}, "b": {"a": 0.976}}))
    assert text.endswith("| | a | b |\n|---|---|---|\n| a |  | 2.4% |\n| b | 97.6% |  |\n")
    assert "resampled test sets the row is above" in text
    found = results()
    del found["above"], found["arms"]["a"]["ap_interval"]  # of an earlier version
    assert "above" not in ladder_table(found)


def test_a_bar_in_a_name_does_not_end_its_cell() -> None:
    arm = {**results()["arms"]["a"], "name": "x | y\\"}
    assert r"| a | x \| y\\ | 1,200 |" in ladder_table(results(arms={"a": arm}))


def test_the_table_says_what_is_undefined_missing_or_failed() -> None:
    unknown = dict.fromkeys(("ap_mean", "ap_spread", "ap_interval", "ap50_mean", "gap_closed"))
    bare = {**results()["arms"]["a"], **unknown}
    curve = {"x": "synthetic images", "points": [{"x": 300.0}, {"x": 3000.0}], "enough": None, "tolerance": 0.01}
    text = ladder_table(
        results(
            arms={"a": bare},
            commit=None,
            failed={"a_1": "memory"},
            curve=curve,
            gap={"from": "a", "to": "e", "undefined": "undefined, since it is small"},
        )
    )
    assert "| none |  | none | undefined |" in text
    assert "(e - a): undefined, since it is small." in text
    assert "Failed, and not in the table: a_1." in text
    assert "AP over synthetic images: still rising at 3,000." in text
    assert text.endswith("garbage-synth 1.0.\n")
    text = ladder_table(results(curve={**curve, "enough": 300.0}))
    assert "enough at 300; no larger one gains more than 0.010 AP." in text
