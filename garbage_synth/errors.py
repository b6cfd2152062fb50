"""Every error that garbage-synth raises on purpose.

    GarbageSynthError            exit 1   the work failed; the message names the file and the next step
    ├── InputError               exit 2   a file, folder or value the user gave cannot be used
    │   ├── ConfigError          exit 2   unknown key or value out of range in a config
    │   └── OutputExistsError    exit 2   the output folder holds something that would be lost
    └── MissingDependencyError   exit 2   an optional package or system library is absent

A message is one line: what is wrong, the value, what was expected, which file, and what to do next.
"""

__all__ = [
    "ConfigError",
    "GarbageSynthError",
    "InputError",
    "MissingDependencyError",
    "OutputExistsError",
]


class GarbageSynthError(Exception):
    """The work failed for a reason the user can act on."""

    exit_code = 1


class InputError(GarbageSynthError):
    """A file, folder or value that the user gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A config holds an unknown key or a value out of range."""


class OutputExistsError(InputError):
    """The output folder holds something that would be lost."""


class MissingDependencyError(GarbageSynthError):
    """An optional package or a system library is absent."""

    exit_code = 2
