"""What every network here needs: a device and a number format, averages of weights, checkpoints (torch)."""

from garbage_synth.core.threads import wait_briefly

wait_briefly()  # before torch is imported by a module of this package
