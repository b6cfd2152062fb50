import pytest

from garbage_synth.config.gan import GanConfig
from garbage_synth.errors import GarbageSynthError
from garbage_synth.gan.guards import InversionGuard

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
