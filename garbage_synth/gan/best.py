"""Which generator of a training is the best: labels kept first, then the distance from real pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from garbage_synth.gan.evaluation import SWD

__all__ = ["Evaluation", "is_better", "verdict"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """step: steps behind the weights. values: see `Evaluator`."""

    step: int
    values: Mapping[str, float]


def is_better(new: Evaluation, best: Evaluation | None, *, min_hold: float) -> bool:
    """Whether `new` beats `best`.

    Of two that keep the share min_hold of the labels, the one nearer to the real pictures (SWD) wins; one that does
    not keep it loses against one that does; of two that do not, the one that keeps more wins, then the nearer one.
    Where there are no labels, all keep them. A tie is no win.
    """

    def badness(evaluation: Evaluation) -> tuple[float, float]:
        return max(0.0, min_hold - evaluation.values.get("label_hold", 1.0)), evaluation.values[SWD]

    return best is None or badness(new) < badness(best)


def verdict(new: Evaluation, best: Evaluation | None, *, min_hold: float) -> str:
    """One line for people; best: the best before."""
    values = new.values
    parts = [f"distance from real pictures {values[SWD]:.4g} ({SWD}; lower is better)"]
    hold = values.get("label_hold")
    if hold is not None:
        parts.append(f"{hold:.0%} of labels hold" + (f", {min_hold:.0%} are wanted" if hold < min_hold else ""))
    parts.append(f"returns at {values['cycle_psnr']:.1f} dB")
    if best is None:
        parts.append("the first look")
    elif is_better(new, best, min_hold=min_hold):
        parts.append(f"better than step {best.step:,} ({best.values[SWD]:.4g})")
    else:
        parts.append(f"worse than the best, step {best.step:,} ({best.values[SWD]:.4g})")
    return f"after {new.step:,} steps: " + "; ".join(parts)
