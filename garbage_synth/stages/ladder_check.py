"""What is wrong with the sets of a ladder, found before the first detector is trained on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError
from garbage_synth.io.dataset import chosen_split, read_dataset
from garbage_synth.io.output import file_hash
from garbage_synth.io.pictures import locate_pictures
from garbage_synth.stages.ladder_file import Ladder

__all__ = ["require_detector_and_test", "wrong_arms"]


def require_detector_and_test(ladder: Ladder) -> None:
    """Raises InputError for an unknown detector, and for a test set that cannot be used: before any stage runs.

    A test set that a stage has yet to make is looked at by `wrong_arms`.
    """
    from garbage_synth.detect.models import first_label

    train, evaluate = ladder.pairs[0].train, ladder.pairs[0].evaluate
    first_label(train.arguments.get("model", train.command.arguments()["model"].default))
    truth: Path = evaluate.arguments["truth"]
    if not any(step.out is not None and truth.is_relative_to(step.out) for step in ladder.stages):
        _read(truth, evaluate.arguments.get("split"), ("test", "val"))


def wrong_arms(ladder: Ladder) -> dict[str, str]:
    """Why arms cannot be trained or judged, by key: a dataset or split that cannot be used, classes that do not match
    those of the test set, or a picture that is also in the test set.

    Raises InputError where the test set itself cannot be used.
    """
    arguments = ladder.pairs[0].evaluate.arguments
    truth: Path = arguments["truth"]
    test, split, pictures = _read(truth, arguments.get("split"), ("test", "val"))
    names = dict(arguments.get("class_map") or {})
    if arguments.get("class_agnostic") and names:
        raise InputError("test: class_agnostic and map contradict each other: names play no part where all are one")
    _match(test, split, [names.get(name, name) for name in test.categories.values()], arguments)
    is_tested = _among(pictures)
    wrong = {}
    for arm in ladder.arms:
        try:
            known, _, own = _read(arm.train, arm.pairs[0].train.arguments.get("split"), ("train",))
            _match(test, split, list(known.categories.values()), arguments)
            if twin := next(filter(is_tested, own), None):
                raise InputError(f"{twin} is a picture of the test set; train on a split that holds none of those")
        except InputError as error:
            wrong[arm.key] = " ".join(str(error).split())
    return wrong


def _among(pictures: Sequence[Path]) -> Callable[[Path], bool]:
    """Whether a file has the bytes of one of the pictures."""
    sizes: dict[int, list[Path]] = {}
    for picture in pictures:
        sizes.setdefault(picture.stat().st_size, []).append(picture)
    content = cache(file_hash)

    def is_among(path: Path) -> bool:
        likely = sizes.get(path.stat().st_size, ())  # files of other sizes need not be read
        return any(content(path) == content(picture) for picture in likely)

    return is_among


def _read(root: Path, asked: str | None, usual: Sequence[str]) -> tuple[Dataset, str, list[Path]]:
    """A dataset, the split of it that is used, and the pictures of that, which are there and whole."""
    dataset = read_dataset(root)
    name = chosen_split(root, dataset.splits, asked, usual)
    if not dataset.splits[name].images:
        raise InputError(f"{root}: split {name} lists no picture; name another split")
    return dataset, name, list(locate_pictures(root, replace(dataset, splits={name: dataset.splits[name]})).values())


def _match(test: Dataset, split: str, class_names: Sequence[str], arguments: Mapping[str, Any]) -> None:
    """Raises InputError where `evaluate` would not know which class of a detector stands for which of the test set."""
    from garbage_synth.detect.class_match import all_as_one, match_classes

    classes = arguments.get("classes")
    if arguments.get("class_agnostic"):
        all_as_one(test.categories, class_names, classes=classes)
    else:
        class_map = arguments.get("class_map")
        match_classes(test.splits[split], test.categories, class_names, class_map=class_map, classes=classes)
