import json

import pytest

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import hf_imagefolder

IMAGES = (ImageRecord(1, "empty.jpg", 20, 10), ImageRecord(2, "full.jpg", 20, 10))
ITEMS = (
    Annotation(1, 2, 2, (1.0, 2.0, 3.0, 4.0), 12.0, 0, None),
    Annotation(2, 2, 1, (0.0, 0.0, 5.0, 5.0), 25.0, 1, None),
)
DATASET = Dataset({1: "can", 2: "cup"}, {"train": Split(IMAGES, ITEMS), "val": Split(IMAGES, ())})


def test_categories_count_from_zero_and_crowds_are_left_out() -> None:
    rows = hf_imagefolder.decode(hf_imagefolder.encode(DATASET)["train/metadata.jsonl"], source="m.jsonl")
    assert rows[0] == {
        "file_name": "full.jpg",
        "image_id": 2,
        "width": 20,
        "height": 10,
        "objects": {"id": [1], "bbox": [[1.0, 2.0, 3.0, 4.0]], "area": [12.0], "category": [1]},
    }
    assert json.loads(hf_imagefolder.encode(DATASET)["categories.json"]) == {"0": "can", "1": "cup"}


def test_a_picture_with_items_comes_first_so_that_the_types_of_the_columns_are_known() -> None:
    rows = hf_imagefolder.decode(hf_imagefolder.encode(DATASET)["train/metadata.jsonl"], source="m.jsonl")
    assert [row["file_name"] for row in rows] == ["full.jpg", "empty.jpg"]
    assert rows[1]["objects"] == {"id": [], "bbox": [], "area": [], "category": []}


def test_val_is_called_validation() -> None:
    assert "validation/metadata.jsonl" in hf_imagefolder.encode(DATASET)
    assert hf_imagefolder.picture_paths(DATASET)["val", 1] == "validation/empty.jpg"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"file_name": "a.jpg"}',
        '{"file_name": "a.jpg", "objects": {"id": [1], "bbox": [], "area": [], "category": []}}',
        '{"file_name": "", "objects": {"id": [], "bbox": [], "area": [], "category": []}}',
    ],
)
def test_a_damaged_line_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(InputError, match=r"m\.jsonl: line 1 is no picture"):
        hf_imagefolder.decode(line, source="m.jsonl")
