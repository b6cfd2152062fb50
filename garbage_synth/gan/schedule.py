"""How long a training lasts and how its learning rate falls: pure functions of the step."""

from dataclasses import dataclass

from garbage_synth.errors import InputError

__all__ = ["DEFAULT_EPOCHS", "Length", "learning_rate", "resolve_length"]

DEFAULT_EPOCHS = 200
"""Epochs where neither epochs nor steps are given: the paper's 100 constant and 100 falling ones."""


@dataclass(frozen=True, slots=True)
class Length:
    """total_steps: of the whole training, which the learning rate refers to; stop_step: where this call ends.

    steps_per_epoch: steps that show each picture of the larger domain once.
    """

    total_steps: int
    stop_step: int
    steps_per_epoch: int


def learning_rate(step: int, total_steps: int, *, base: float, constant_fraction: float) -> float:
    """The learning rate of step 0..total_steps - 1: constant, then falling in a straight line.

    The falling part never reaches 0 inside the training: its n steps take n/(n+1) ... 1/(n+1) of `base`.
    """
    falling_steps = total_steps - round(total_steps * constant_fraction)
    return base * min(1.0, (total_steps - step) / (falling_steps + 1))


def resolve_length(
    *,
    epochs: int | None,
    steps: int | None,
    stop_after: int | None,
    steps_per_epoch: int,
    earlier: tuple[int, int] | None,
) -> Length:
    """The length of a training from its flags.

    stop_after: steps of this call. earlier: (steps done, total steps) of the run that is resumed; its total is taken
    where neither epochs nor steps are given; 200 epochs where there is none.

    Raises InputError for epochs and steps together, for numbers below 1 and for a total below what was done already.
    """
    if epochs is not None and steps is not None:
        raise InputError("--epochs and --steps are two ways to give one length; give one of them")
    for flag, value in (("--epochs", epochs), ("--steps", steps), ("--stop-after", stop_after)):
        if value is not None and value < 1:
            raise InputError(f"{flag} {value} must be at least 1")
    done, earlier_total = earlier or (0, None)
    if steps is not None:
        total = steps
    elif epochs is None and earlier_total is not None:
        total = earlier_total
    else:
        total = (epochs or DEFAULT_EPOCHS) * steps_per_epoch
    if total < done:
        raise InputError(
            f"{total:,} steps were asked for, but the run has already made {done:,}; give more or another --out"
        )
    return Length(total, total if stop_after is None else min(total, done + stop_after), steps_per_epoch)
