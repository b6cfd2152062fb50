import pytest

from garbage_synth.config.gan import GanConfig
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.guards import InversionGuard, SegmenterNews

CONFIG = GanConfig(abort_after_steps=100)
BAD = {"correlation_real": 0.4, "correlation_synthetic": -0.2}
GOOD = {"correlation_real": 0.4, "correlation_synthetic": 0.2}


def test_second_inverted_window_in_a_row_ends_the_training_with_advice() -> None:
    guard = InversionGuard(CONFIG)
    guard.look(100, BAD)
    guard.look(120, GOOD)
    guard.look(140, BAD)
    with pytest.raises(GarbageSynthError, match=r"step 160.*real-to-synthetic.*-0\.20.*--seed.*identity_ratio"):
        guard.look(160, BAD)


def test_first_steps_are_not_looked_at_and_null_never_is() -> None:
    guard = InversionGuard(CONFIG)
    for step in (20, 40, 60, 80):
        guard.look(step, BAD)
    never = InversionGuard(GanConfig(abort_below_correlation=None, abort_after_steps=0))
    for step in (20, 40, 60, 80):
        never.look(step, BAD)


def test_restored_guard_goes_on_counting() -> None:
    first, second = InversionGuard(CONFIG), InversionGuard(CONFIG)
    first.look(100, BAD)
    second.restore(first.state())
    with pytest.raises(GarbageSynthError, match="step 120"):
        second.look(120, BAD)


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, label: str, total: int | None) -> None: ...

    def advance(self, units: int = 1) -> None: ...

    def message(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_it_is_told_once_when_the_verdict_of_the_segmenter_begins_to_count() -> None:
    told = Told()
    news = SegmenterNews(0.75, told)
    for step, dice in ((20, 0.5), (40, 0.8), (60, 0.7), (80, 0.9)):
        news.look(step, {"segmenter_dice": dice})
    news.end(told)  # type: ignore[arg-type]
    assert len(told.lines) == 1
    assert "after 40 steps" in told.lines[0]


def test_it_is_told_at_the_end_that_the_verdict_of_the_segmenter_never_counted() -> None:
    told = Told()
    news = SegmenterNews(0.75, told)
    news.look(20, {"segmenter_dice": 0.5})
    news.end(told)  # type: ignore[arg-type]
    assert len(told.lines) == 1
    assert "0.50" in told.lines[0]
    silent = Told()
    SegmenterNews(0.75, silent).end(silent)  # type: ignore[arg-type]
    assert silent.lines == []
