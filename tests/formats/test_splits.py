import pytest

from garbage_synth.core.types import Dataset, Split
from garbage_synth.errors import InputError
from garbage_synth.formats.splits import split_folders, split_roles


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ([], {}),
        (["train", "val"], {"train": "train", "val": "val"}),
        (["train", "valid", "test"], {"train": "train", "valid": "val", "test": "test"}),
        (["train2017", "val2017", "test2017"], {"train2017": "train", "val2017": "val", "test2017": "test"}),
        (["train", "devtest"], {"train": "train", "devtest": "val"}),
        (["train", "val", "devtest", "night"], {"train": "train", "val": "val", "devtest": "test", "night": "night"}),
        (["monday", "tuesday"], {"monday": "train", "tuesday": "val"}),
        (["only"], {"only": "train"}),
    ],
)
def test_every_split_gets_the_part_its_name_suggests(names: list[str], roles: dict[str, str]) -> None:
    assert split_roles(reversed(names)) == roles


def test_two_splits_never_share_a_folder() -> None:
    dataset = Dataset({}, {name: Split((), ()) for name in ("train", "val", "valid")})
    with pytest.raises(InputError, match="rename one"):
        split_folders(dataset, {"val": "valid"})
