import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import webdataset
from garbage_synth.io.images import read_rgb
from garbage_synth.stages.export import export
from tests.consumers import webdataset_samples
from tests.makers import DrawnDataset, drawn_dataset, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 5, "val": [(36, 48)] * 2}, seed=7)


def named(*names: str) -> Dataset:
    records = tuple(ImageRecord(number, name, 20, 10) for number, name in enumerate(names, start=1))
    return Dataset({1: "can"}, {"train": Split(records, ())})


def test_what_encode_wrote_is_decoded_the_same() -> None:
    files = webdataset.encode(DRAWN.dataset, shard_size=2)
    assert set(files) == {webdataset.DATASET_FILE} | {
        path.replace(".jpg", ".json") for path in webdataset.picture_paths(DRAWN.dataset, shard_size=2).values()
    }
    for split, content in DRAWN.dataset.splits.items():
        found = [webdataset.decode(text, source=path) for path, text in sorted(files.items()) if path.startswith(split)]
        assert tuple(record for record, _ in found) == content.images
        assert tuple(entry for _, entries in found for entry in entries) == content.annotations


def test_keys_have_no_dots_and_meet_nowhere() -> None:
    assert list(webdataset.picture_paths(named("a.b.JPG", "sub/c.jpeg", ".d.png")).values()) == [
        "train-000000.tar/a_b.jpg",
        "train-000000.tar/sub_c.jpg",
        "train-000000.tar/_d.png",
    ]
    met = webdataset.picture_paths(named("a.b.jpg", "a_b.jpg"))
    assert list(met.values()) == ["train-000000.tar/a_b_1.jpg", "train-000000.tar/a_b_2.jpg"]


def test_further_fields_of_an_image_and_an_annotation_survive() -> None:
    entry = Annotation(1, 1, 1, (1.0, 2.0, 3.0, 4.0), 12.0, 1, None, {"visible_fraction": 0.5})
    record = ImageRecord(1, "a.jpg", 20, 10, {"source": "cam"})
    files = webdataset.encode(Dataset({1: "can"}, {"train": Split((record,), (entry,))}))
    assert webdataset.decode(files["train-000000.tar/a.json"], source="a") == (record, (entry,))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"image_id": 1, "annotations": [{}]}', '{"image_id": 1}', "3"])
def test_what_is_no_sample_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="x.json"):
        webdataset.decode(text, source="x.json")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wds")
    export(write_tree(root / "tree", DRAWN), root / "out", format="webdataset", shard_size=2)
    return root


@pytest.mark.slow
def test_the_webdataset_library_reads_pictures_boxes_and_masks(shards: Path) -> None:
    pytest.importorskip("webdataset")
    overview = json.loads((shards / "out/dataset.json").read_text())
    assert [entry["name"] for entry in overview["categories"]] == ["can", "paper", "bottle"]
    samples = webdataset_samples(str(shards / "out/train-{000000..000002}.tar"))
    split = DRAWN.dataset.splits["train"]
    assert [sample["image_id"] for _, sample in samples] == [record.id for record in split.images]
    assert overview["splits"]["train"]["images"] == len(samples)
    for pixels, sample in samples:
        expected = [entry for entry in split.annotations if entry.image_id == sample["image_id"]]
        source = read_rgb(shards / "tree/images/train" / sample["file_name"]).astype(int)
        assert np.abs(pixels.astype(int) - source).mean() < 1  # two JPEG decoders
        assert [tuple(entry["bbox"]) for entry in sample["annotations"]] == [entry.bbox_xywh for entry in expected]
        assert [entry["category_id"] for entry in sample["annotations"]] == [entry.category_id for entry in expected]
        areas = [float(coco_mask.area(entry["segmentation"])) for entry in sample["annotations"]]
        assert areas == [entry.area for entry in expected]
