"""Which split plays which part for a trainer, whatever its name."""

from collections.abc import Iterable, Mapping

from garbage_synth.core.types import Dataset
from garbage_synth.errors import InputError

__all__ = ["picture_paths", "split_folders", "split_roles"]

VALIDATION_NAMES = ("val", "valid", "validation", "dev", "devtest", "test")
TEST_NAMES = ("test", "devtest", "eval")


def split_roles(splits: Iterable[str]) -> dict[str, str]:
    """split -> "train", "val" or "test"; splits beyond these keep their names.

    train is the split of that name, else one that begins so (train2017), else the first; val likewise; where there is
    no such split, another one (a test split too) takes that part, since trainers need pictures to validate on.
    """
    left = sorted(splits)
    roles: dict[str, str] = {}
    for role, names in (("train", ("train",)), ("val", VALIDATION_NAMES), ("test", TEST_NAMES)):
        exact = [name for name in names if name in left]
        similar = [name for name in left if name.startswith(role)]
        others = left if role != "test" else []
        candidates = [*(name for name in exact if name.startswith(role)), *similar, *exact, *others]
        if candidates:
            roles[candidates[0]] = role
            left.remove(candidates[0])
    return roles | {name: name for name in left}


def split_folders(dataset: Dataset, names: Mapping[str, str]) -> dict[str, str]:
    """split -> folder, where names gives the layout's word for a role. Raises InputError where two would share one."""
    folders = {split: names.get(role, role) for split, role in split_roles(dataset.splits).items()}
    if len(set(folders.values())) < len(folders):
        raise InputError(f"splits {sorted(folders)} would become folders {sorted(folders.values())}; rename one")
    return folders


def picture_paths(dataset: Dataset, folders: Mapping[str, str]) -> dict[tuple[str, int], str]:
    """The path of every picture by (split, image id): its file_name in its split's folder."""
    return {
        (name, record.id): f"{folders[name]}/{record.file_name}"
        for name, split in dataset.splits.items()
        for record in split.images
    }
