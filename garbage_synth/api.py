"""The commands as Python functions, each imported when it is first used.

    from garbage_synth.api import composite, segment

    summary = segment(Path("photos"), Path("crops"))

Every function takes paths, has the flags of its command as keyword arguments, returns a `StageSummary` and raises
`GarbageSynthError`. (They are not names of `garbage_synth` itself, because its packages have the same names.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from garbage_synth.core.progress import NullProgress, Progress, StageSummary
    from garbage_synth.errors import GarbageSynthError
    from garbage_synth.stages.belt import belt
    from garbage_synth.stages.check_labels import check_labels
    from garbage_synth.stages.composite import composite
    from garbage_synth.stages.evaluate import evaluate
    from garbage_synth.stages.export import export
    from garbage_synth.stages.export_generator import export_generator
    from garbage_synth.stages.frames import frames
    from garbage_synth.stages.ladder import ladder
    from garbage_synth.stages.merge import merge
    from garbage_synth.stages.pipeline import run_pipeline
    from garbage_synth.stages.refine import refine
    from garbage_synth.stages.report import report
    from garbage_synth.stages.segment import segment
    from garbage_synth.stages.split import split
    from garbage_synth.stages.subset import subset
    from garbage_synth.stages.train_detector import train_detector
    from garbage_synth.stages.train_gan import train_gan
    from garbage_synth.stages.validate import validate

__all__ = [
    "GarbageSynthError",
    "NullProgress",
    "Progress",
    "StageSummary",
    "belt",
    "check_labels",
    "composite",
    "evaluate",
    "export",
    "export_generator",
    "frames",
    "ladder",
    "merge",
    "refine",
    "report",
    "run_pipeline",
    "segment",
    "split",
    "subset",
    "train_detector",
    "train_gan",
    "validate",
]

_ELSEWHERE = {
    "GarbageSynthError": "garbage_synth.errors",
    "NullProgress": "garbage_synth.core.progress",
    "Progress": "garbage_synth.core.progress",
    "StageSummary": "garbage_synth.core.progress",
    "run_pipeline": "garbage_synth.stages.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, f"garbage_synth.stages.{name}")), name)


def __dir__() -> list[str]:
    return __all__
