"""`python -m garbage_synth` is the command `garbage-synth`."""

from garbage_synth.cli import main

if __name__ == "__main__":
    main()
