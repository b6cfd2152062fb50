"""Which class of a detector stands for which category of the truth: by name, or all of them as one."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from garbage_synth.core.types import Split
from garbage_synth.detect.detections import Detections, without_duplicates
from garbage_synth.errors import InputError

__all__ = ["AGNOSTIC_NAME", "DUPLICATE_IOU", "ClassMatch", "all_as_one", "match_classes"]

AGNOSTIC_NAME = "any"
"""The one class of the class-agnostic mode."""

DUPLICATE_IOU = 0.6
"""Class-agnostic: of two detections that overlap by more, the one of the higher score stays."""


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """Categories of the truth and classes of a detector as positions in a common list of names.

    names: the classes that are scored. of_category: category id -> position; of_detector: class of the detector ->
    position. What neither holds is not scored: its detections are left out and so are its boxes, except where all
    classes are one; there its boxes are ignored, because who finds one is right and not wrong.
    detector_only: classes of the detector that the truth has no name for.
    """

    names: tuple[str, ...]
    of_category: Mapping[int, int]
    of_detector: Mapping[int, int]
    agnostic: bool = False
    detector_only: tuple[str, ...] = ()

    def scored(self, detections: Detections) -> Detections:
        """The detections of scored classes, as positions in `names`; without duplicates among classes made one."""
        positions = np.array([self.of_detector.get(int(key), -1) for key in detections.classes], np.int64)
        chosen = Detections(detections.boxes_xyxy, positions, detections.scores).at(positions >= 0)
        return without_duplicates(chosen, DUPLICATE_IOU) if self.agnostic else chosen


def match_classes(
    split: Split,
    categories: Mapping[int, str],
    class_names: Sequence[str],
    *,
    class_map: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
) -> ClassMatch:
    """Each category of the truth with the detector's class of the same name, scored under the detector's name.

    class_map: names of the truth -> names of the detector where they differ; several may become one. classes: names of
    the truth to score alone; the numbers of a class are the same with and without. A category without a box in the
    split needs no class.

    Raises InputError for a name in class_map or classes that is unknown, and where a category with boxes has no class.
    """
    class_map = dict(class_map or {})
    _require_known(class_map, categories.values(), "--map", "the truth")
    _require_known(class_map.values(), class_names, "--map", "the detector")
    chosen = _chosen(categories, classes)
    wanted = {key: class_map.get(categories[key], categories[key]) for key in chosen}
    own = {name: position for position, name in enumerate(class_names)}
    needed = {annotation.category_id for annotation in split.annotations if not annotation.iscrowd}
    missing = [name for key, name in wanted.items() if key in needed and name not in own]
    if missing:
        raise _unmatched(missing, [categories[key] for key in categories if key in needed], class_names)
    used = sorted({own[name] for name in wanted.values() if name in own})
    if not used:
        raise _unmatched(list(wanted.values()), list(categories.values()), class_names)
    named = {class_map.get(name, name) for name in categories.values()}
    return ClassMatch(
        names=tuple(class_names[position] for position in used),
        of_category={key: used.index(own[name]) for key, name in wanted.items() if name in own},
        of_detector={position: index for index, position in enumerate(used)},
        detector_only=tuple(name for name in class_names if name not in named),
    )


def all_as_one(
    categories: Mapping[int, str], class_names: Sequence[str], *, classes: Sequence[str] | None = None
) -> ClassMatch:
    """Class-agnostic: whatever is found may stand for whatever is there, names play no part.

    classes: names of the truth to score alone; boxes of the others are ignored. Raises InputError for an unknown one.
    """
    return ClassMatch(
        names=(AGNOSTIC_NAME,),
        of_category=dict.fromkeys(_chosen(categories, classes), 0),
        of_detector=dict.fromkeys(range(len(class_names)), 0),
        agnostic=True,
    )


def _chosen(categories: Mapping[int, str], classes: Sequence[str] | None) -> list[int]:
    if classes is None:
        return list(categories)
    _require_known(classes or [""], categories.values(), "--classes", "the truth")
    return [key for key, name in categories.items() if name in classes]


def _require_known(names: Iterable[str], known: Iterable[str], flag: str, whose: str) -> None:
    listed = list(known)
    for name in names:
        if name not in listed:
            near = _near(name, listed)
            raise InputError(
                f"{flag}: {whose} has no class {name!r}; "
                + (f"did you mean {near}?" if near else f"known are {', '.join(listed)}")
            )


def _unmatched(missing: Sequence[str], truth: Sequence[str], class_names: Sequence[str]) -> InputError:
    pairs = [(name, _near(name, class_names)) for name in missing]
    hints = ",".join(f"{name}={near or 'CLASS'}" for name, near in pairs)
    return InputError(
        f"the detector has no class {', '.join(missing)}: the truth has {', '.join(truth)}, the detector "
        f"{', '.join(class_names)}; name the pairs by --map {hints}, score the others alone by --classes, or all as "
        "one by --class-agnostic"
    )


def _near(name: str, known: Sequence[str]) -> str | None:
    """The known name that differs in case or in little else."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[near[0]] if near else None
