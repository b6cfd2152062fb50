import pytest

from garbage_synth.errors import InputError
from garbage_synth.gan.schedule import Length, learning_rate, resolve_length


def rates(total: int, constant_fraction: float) -> list[float]:
    return [learning_rate(step, total, base=2e-4, constant_fraction=constant_fraction) for step in range(total)]


def test_rate_is_constant_for_half_and_falls_in_a_straight_line() -> None:
    got = rates(8, 0.5)
    assert got[:4] == [2e-4] * 4
    assert got[4:] == pytest.approx([2e-4 * n / 5 for n in (4, 3, 2, 1)])


def test_rate_follows_the_paper_for_200_epochs() -> None:
    got = rates(200, 0.5)
    assert got[99] == 2e-4
    assert got[150] == pytest.approx(2e-4 * 50 / 101)
    assert 0 < got[-1] < 2.1e-6


def test_rate_that_never_falls_and_one_that_falls_at_once() -> None:
    assert rates(5, 1.0) == [2e-4] * 5
    assert rates(4, 0.0) == pytest.approx([2e-4 * n / 5 for n in (4, 3, 2, 1)])


def length(**flags: int | tuple[int, int] | None) -> Length:
    defaults = {"epochs": None, "steps": None, "stop_after": None, "steps_per_epoch": 10, "earlier": None}
    return resolve_length(**{**defaults, **flags})  # type: ignore[arg-type]


def test_length_is_200_epochs_where_nothing_is_given() -> None:
    assert length() == Length(2000, 2000, 10)


def test_length_counts_epochs_in_pictures_and_steps_as_they_are() -> None:
    assert length(epochs=3).total_steps == 30
    assert length(steps=7).total_steps == 7


def test_stop_after_counts_the_steps_of_this_call_and_never_exceeds_the_total() -> None:
    assert length(steps=9, stop_after=4) == Length(9, 4, 10)
    assert length(steps=9, stop_after=4, earlier=(4, 9)).stop_step == 8
    assert length(steps=9, stop_after=40).stop_step == 9


def test_resumed_run_keeps_its_total_where_none_is_given() -> None:
    assert length(earlier=(3, 12)).total_steps == 12
    assert length(epochs=2, earlier=(3, 12)).total_steps == 20


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"epochs": 1, "steps": 1}, "one of them"),
        ({"steps": 0}, "--steps 0"),
        ({"epochs": -1}, "--epochs -1"),
        ({"stop_after": 0}, "--stop-after 0"),
        ({"steps": 5, "earlier": (6, 9)}, "already made 6"),
    ],
)
def test_contradicting_lengths_are_refused(flags: dict[str, int], word: str) -> None:
    with pytest.raises(InputError, match=word):
        length(**flags)
