"""CycleGAN between two unpaired sets of pictures: networks, losses, data, training, generator files."""

from garbage_synth.core.threads import wait_briefly

wait_briefly()  # before torch is imported by a module of this package
