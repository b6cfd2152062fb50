import numpy as np
import pytest

from garbage_synth.stages.train_gan_curves import _COLOURS, _series, draw_curves

RECORDS = [
    *({"step": step, "cycle_real": 1 / step, "judge_real": 0.2} for step in range(1, 1001)),
    {"step": 500, "evaluation": {"swd": 0.2, "label_hold": 0.9}, "best": True},
    {"step": 1000, "evaluation": {"swd": 0.3, "label_hold": 0.8}, "best": False},
]


LABEL_TERMS = ("structure", "new_edges", "semantic", "segmenter_dice", "flip")


def test_picture_has_a_size_that_does_not_depend_on_the_length() -> None:
    assert draw_curves([]).shape == draw_curves(RECORDS[:1]).shape == draw_curves(RECORDS[:1000]).shape
    assert draw_curves(RECORDS).shape == (520, 1380, 3)  # two looks bring two panels, and a second row


def test_only_what_was_recorded_gets_a_panel() -> None:
    def panels(*names: str) -> int:
        image = draw_curves([{"step": step, **dict.fromkeys(names, 0.1 * step)} for step in (1, 2)])
        grid = image.reshape(-1, 260, 3, 460, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 260 * 460 * 3)
        return int((grid < 255).any(axis=1).sum())

    assert panels("judge_real") == panels(*LABEL_TERMS) == 1
    assert panels("judge_real", *LABEL_TERMS) == 2
    assert panels("judge_real", *LABEL_TERMS, "displacement_px", "learning_rate") == 4


def test_every_label_term_has_a_line_of_its_own_colour() -> None:
    values = {name: 0.1 * place for place, name in enumerate(LABEL_TERMS)}
    records = [{"step": step, **values} for step in (1, 2)]
    colours = {tuple(pixel) for pixel in draw_curves(records).reshape(-1, 3)}
    assert colours >= set(_COLOURS)


def test_best_step_is_marked_in_panels_with_lines() -> None:
    def marked(image: np.ndarray) -> bool:
        return bool((image == (180, 140, 20)).all(axis=2).any())

    assert marked(draw_curves(RECORDS))
    assert not marked(draw_curves(RECORDS[:1000]))


def test_evaluations_are_found_under_any_extractor_and_long_series_are_averaged() -> None:
    assert _series(RECORDS, "swd").tolist() == [[500, 0.2], [1000, 0.3]]
    cycle = _series(RECORDS, "cycle_real")
    assert cycle.shape == (200, 2)
    assert cycle[0] == pytest.approx([3, np.mean([1 / n for n in range(1, 6)])])
