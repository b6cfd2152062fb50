"""How the threads of torch wait for each other."""

import os

__all__ = ["wait_briefly"]

_SPINS = 10_000


def wait_briefly() -> None:
    """Let OpenMP threads sleep soon instead of spinning for milliseconds; to be called before torch is imported.

    On a machine whose cores are busy with other work too, a thread that spins takes the core from the one it waits for:
    a small training step took 15 to 30 s instead of 1 s that way. What the user has set in the environment stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))
