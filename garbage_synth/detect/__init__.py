"""A small detector as a yardstick: train it, score it."""

from garbage_synth.core.threads import wait_briefly

wait_briefly()  # before torch is imported by a module of this package
