from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from garbage_synth.errors import InputError
from garbage_synth.stages import ladder_sets
from garbage_synth.stages.ladder_sets import PictureSet, distances, read_set
from tests.makers import belt_rgb, drawn_dataset, save, write_tree


def test_a_split_is_the_one_named_or_the_first_that_is_there_or_the_only_one(tmp_path: Path) -> None:
    sizes = [(48, 36)] * 3
    both = write_tree(tmp_path / "both", drawn_dataset({"train": sizes, "val": sizes[:2]}))
    assert (read_set(both, None, ("test", "val")).split, read_set(both, "train", ("val",)).split) == ("val", "train")
    found = read_set(both, None, ("train",))
    assert [path.name for path in found.paths] == [f"train_000{number}.jpg" for number in (1, 2, 3)]
    assert all(path.is_file() for path in found.paths)
    assert found.annotations == len(drawn_dataset({"train": sizes}).dataset.splits["train"].annotations)
    with pytest.raises(InputError, match="has no split 'test'; choose one of train, val"):
        read_set(both, "test", ("train",))
    with pytest.raises(InputError, match="has no split test or dev; choose one of train, val"):
        read_set(both, None, ("test", "dev"))
    assert read_set(write_tree(tmp_path / "one", drawn_dataset({"odd": sizes})), None, ("train",)).split == "odd"


def pictures(folder: Path, count: int, *, size_wh: tuple[int, int] = (96, 64), soft: bool = False) -> PictureSet:
    paths = []
    for number in range(count):
        picture = Image.fromarray(belt_rgb(*size_wh, seed=number + 10 * len(folder.name)))
        if soft:
            picture = picture.resize((size_wh[0] // 8, size_wh[1] // 8)).resize(size_wh)
        paths.append(save(folder / f"{number}.png", np.asarray(picture)))
    return PictureSet("train", tuple(paths), 0)


def test_pictures_of_other_texture_or_light_are_farther(tmp_path: Path) -> None:
    test, like = pictures(tmp_path / "test", 4), pictures(tmp_path / "like", 5)
    near, soft = distances(like, test), distances(pictures(tmp_path / "b", 5, soft=True), test)
    assert soft["swd"] > 1.2 * near["swd"] > 0
    bright = PictureSet("train", tuple(save(path, np.full((64, 96, 3), 200, np.uint8)) for path in like.paths), 0)
    assert distances(bright, test)["lab"] > 10 * near["lab"]


def test_of_many_pictures_some_are_taken_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(ladder_sets, "_MOST_PICTURES", 3)
    monkeypatch.setattr(ladder_sets, "read_rgb", lambda path: read.append(path.stem) or belt_rgb(32, 32))
    many = PictureSet("train", tuple(tmp_path / f"{number}.png" for number in range(9)), 0)
    distances(many, PictureSet("test", (tmp_path / "t.png",), 0))
    assert read == ["t", "0", "3", "6", "t"]
