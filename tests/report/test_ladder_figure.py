import numpy as np
import pytest

from garbage_synth.report.ladder_figure import _BAR, _DOT, _INK, _MARK, _RANGE, draw_ladder
from tests.report.test_ladder_table import results

POINTS = [{"arm": f"n{x}", "x": float(x), "ap": [ap], "ap_mean": ap} for x, ap in ((300, 0.2), (900, 0.3), (2700, 0.3))]
CURVE = {"x": "synthetic images", "points": POINTS, "enough": 900.0, "tolerance": 0.01}


def drawn(curve: object = None, **aps: list[float]) -> np.ndarray:
    found = results(curve=curve)
    found["arms"] = {
        key: {
            **found["arms"]["a"],
            "seeds": [{"seed": n, "ap": ap} for n, ap in enumerate(values)],
            "ap_mean": None,
            "ap_interval": None,
        }
        for key, values in aps.items()
    }
    for key, values in aps.items():
        found["arms"][key]["ap_mean"] = sum(values) / len(values) if values else None
    return draw_ladder(found)


def places(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(n, 2): x and y of pixels of that colour."""
    return np.argwhere((image == colour).all(axis=2))[:, ::-1]


def test_every_arm_has_a_row_with_its_dots_and_a_bar_at_their_mean() -> None:
    image = drawn(a=[0.1, 0.3], b=[0.4, 0.4])
    assert image.shape[1] == 980
    bars, dots = places(image, _BAR), places(image, _DOT)
    first, second = bars[bars[:, 1] < 80], bars[bars[:, 1] > 96]
    assert first[:, 0].mean() == pytest.approx(300 + 0.2 / 0.4 * 450, abs=1)
    assert second[:, 0].mean() == pytest.approx(300 + 450, abs=1)
    upper = dots[dots[:, 1] < 88][:, 0]
    assert upper[upper < 500].mean() == pytest.approx(300 + 0.1 / 0.4 * 450, abs=1)
    assert upper[upper > 550].mean() == pytest.approx(300 + 0.3 / 0.4 * 450, abs=1)


def test_a_line_lies_over_the_interval() -> None:
    found = results()
    found["arms"] = {"a": {**found["arms"]["a"], "seeds": [], "ap_mean": 0.2, "ap_interval": [0.1, 0.4]}}
    line = places(draw_ladder(found), _RANGE)[:, 0]
    assert (line.min(), line.max()) == (pytest.approx(300 + 450 / 4, abs=3), pytest.approx(750, abs=3))


def test_an_arm_without_result_has_a_row_without_dots() -> None:
    image = drawn(a=[], b=[])
    assert not len(places(image, _DOT))
    assert not len(places(image, _BAR))


def test_long_names_do_not_reach_the_axis() -> None:
    found = results()
    found["arms"] = {"a": {**found["arms"]["a"], "name": "word " * 40, "seeds": []}}
    ink = places(draw_ladder(found)[56:90], _INK)
    assert len(ink)
    assert not ((ink[:, 0] > 290) & (ink[:, 0] < 740)).any()


def test_a_curve_gets_a_panel_with_a_logarithmic_axis_and_its_plateau_marked() -> None:
    alone, image = drawn(a=[0.3]), drawn(CURVE, a=[0.3])
    panel = image[alone.shape[0] :]
    assert panel.shape == (400, 980, 3)
    marked = places(panel, _MARK)[:, 0]
    x = np.bincount(marked).argmax()
    dots = places(panel, _BAR)
    assert x == pytest.approx((dots[:, 0].min() + dots[:, 0].max()) / 2, abs=2)  # 900 is halfway from 300 to 2700
    assert not len(places(drawn({**CURVE, "enough": None}, a=[0.3])[alone.shape[0] :], _MARK))


def test_a_curve_of_one_point_is_not_drawn() -> None:
    assert drawn({**CURVE, "points": POINTS[:1]}, a=[0.3]).shape == drawn(a=[0.3]).shape


def test_equal_numbers_are_drawn_as_equal_not_blown_up() -> None:
    flat = [{**point, "ap": [0.3], "ap_mean": 0.3} for point in POINTS]
    panel = drawn({**CURVE, "points": flat, "enough": None}, a=[0.3])[drawn(a=[0.3]).shape[0] :]
    assert np.ptp(places(panel, _BAR)[:, 1]) < 12
