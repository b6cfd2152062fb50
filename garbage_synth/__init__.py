"""garbage-synth: detection datasets of litter on a belt, composited from crops and refined by a CycleGAN.

The functions behind the commands are in `garbage_synth.api`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
