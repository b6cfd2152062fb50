import pytest

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import coco_roboflow

IMAGE = ImageRecord(4, "a.jpg", 20, 10)
ODD = Dataset(
    {0: "can", 5: "cup"},
    {"train": Split((IMAGE,), (Annotation(0, 4, 5, (1.0, 2.0, 3.0, 4.0), 12.0, 0, None),)), "val": Split((IMAGE,), ())},
)


def test_val_is_called_valid_and_annotations_lie_beside_the_pictures() -> None:
    assert sorted(coco_roboflow.encode(ODD)) == ["train/_annotations.coco.json", "valid/_annotations.coco.json"]
    assert coco_roboflow.picture_paths(ODD) == {("train", 4): "train/a.jpg", ("val", 4): "valid/a.jpg"}


def test_decode_gives_back_the_split_with_ids_from_one() -> None:
    text = coco_roboflow.encode(ODD)["train/_annotations.coco.json"]
    categories, split = coco_roboflow.decode(text, source="x.json")
    assert categories == {1: "can", 2: "cup"}
    assert split == Split((IMAGE,), (Annotation(1, 4, 2, (1.0, 2.0, 3.0, 4.0), 12.0, 0, None),))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match=r"x\.json: cannot be read as JSON"):
        coco_roboflow.decode("{", source="x.json")
