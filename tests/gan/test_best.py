import pytest

from garbage_synth.gan.best import Evaluation, is_better, verdict
from garbage_synth.gan.evaluation import SWD


def seen(distance: float, hold: float | None = None, step: int = 1) -> Evaluation:
    return Evaluation(step, {SWD: distance, "cycle_psnr": 20.0} | ({} if hold is None else {"label_hold": hold}))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (seen(0.1, 0.96), seen(0.2, 1.0)),  # both keep enough: the nearer
        (seen(0.9, 0.95), seen(0.1, 0.94)),  # enough beats near
        (seen(0.9, 0.80), seen(0.1, 0.70)),  # neither: the one that keeps more
        (seen(0.1, 0.80), seen(0.2, 0.80)),
        (seen(-0.1), seen(0.1)),
    ],
)
def test_labels_count_first_and_distance_second(better: Evaluation, worse: Evaluation) -> None:
    assert is_better(better, worse, min_hold=0.95)
    assert not is_better(worse, better, min_hold=0.95)


def test_first_is_the_best_and_a_tie_changes_nothing() -> None:
    assert is_better(seen(5.0, 0.1), None, min_hold=0.95)
    assert not is_better(seen(0.1, 1.0, step=2), seen(0.1, 0.97, step=1), min_hold=0.95)


def test_verdict_is_one_readable_line() -> None:
    first = verdict(seen(0.123, 0.9, step=1000), None, min_hold=0.95)
    assert first.startswith("after 1,000 steps: distance from real pictures 0.123")
    assert "90% of labels hold, 95% are wanted" in first
    assert "better than step 1 (0.2)" in verdict(seen(0.1, step=2), seen(0.2), min_hold=0.95)
    assert "worse than the best, step 1 (0.05)" in verdict(seen(0.1, step=2), seen(0.05), min_hold=0.95)
    assert "\n" not in first
