import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.stages.report import report
from tests.makers import DrawnDataset, drawn_dataset, save, write_tree

DRAWN: DrawnDataset = drawn_dataset({"train": [(48, 36)] * 6, "val": [(36, 48)] * 2}, seed=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN)


def test_the_page_needs_no_network_and_no_script(root: Path, tmp_path: Path) -> None:
    summary = report([root], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert summary.open_file == tmp_path / "page.html"
    assert "<script" not in text
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', text) == []
    assert "http" not in text
    assert str(tmp_path) not in text


def test_a_dry_run_counts_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    summary = report([root], tmp_path / "page.html", dry_run=True)
    assert summary.numbers["datasets"].keys() == {"dataset"}
    assert not (tmp_path / "page.html").exists()


def test_the_pictures_in_the_page_are_those_of_the_dataset(root: Path, tmp_path: Path) -> None:
    report([root], tmp_path / "page.html", pictures=3)
    text = (tmp_path / "page.html").read_text()
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    ]
    assert len(pictures) == 6  # each with and without labels
    plain = pictures[1][..., ::-1].astype(int)
    original = DRAWN.pixels["train", 1].astype(int)
    assert plain.shape == original.shape
    assert np.abs(plain - original).mean() < 12
    assert np.abs(pictures[0].astype(int) - pictures[1].astype(int)).max() > 60


def test_counts_per_class_stand_in_the_page(root: Path, tmp_path: Path) -> None:
    summary = report([root], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    train = DRAWN.dataset.splits["train"]
    cans = sum(annotation.category_id == 1 for annotation in train.annotations)
    assert re.search(rf"<th>can</th><td class=\"number\">{cans}</td>", text)
    assert f"6 pictures, {len(train.annotations)} items, 1 pictures without items" in text
    assert summary.numbers["datasets"]["dataset"]["images"] == 8


def test_the_same_pictures_of_two_datasets_stand_side_by_side(root: Path, tmp_path: Path) -> None:
    other = write_tree(tmp_path / "refined", DRAWN)
    summary = report([root, other], tmp_path / "page.html", pictures=2)
    text = (tmp_path / "page.html").read_text()
    assert summary.numbers["pictures"] == 4
    assert text.count("grid-template-columns: repeat(2, 1fr)") == 2
    captions = re.findall(r"<figcaption[^>]*>(.*?), \d", text)
    assert [caption.split(": ")[1] for caption in captions[::2]] == [
        caption.split(": ")[1] for caption in captions[1::2]
    ]


def test_datasets_without_shared_pictures_are_shown_one_after_the_other(root: Path, tmp_path: Path) -> None:
    other = write_tree(tmp_path / "other/dataset", drawn_dataset({"night": [(40, 40)] * 2}))
    report([root, other], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<h2>other/dataset</h2>" in text
    assert "The same pictures" not in text


def test_pictures_with_items_come_first(root: Path, tmp_path: Path) -> None:
    report([root], tmp_path / "page.html", pictures=6)
    assert "train_0006.jpg" not in (tmp_path / "page.html").read_text()
    report([root], tmp_path / "all.html", pictures=60)
    assert "train_0006.jpg, 0 items" in (tmp_path / "all.html").read_text()


def test_names_from_the_data_are_escaped(tmp_path: Path) -> None:
    drawn = drawn_dataset({"train": [(40, 40)] * 2})
    drawn.dataset.categories[1] = "<script>alert(1)</script>"  # type: ignore[index]
    report([write_tree(tmp_path / "d", drawn)], tmp_path / "page.html")
    assert "<script" not in (tmp_path / "page.html").read_text()


def test_two_runs_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    report([root], tmp_path / "a.html")
    report([root], tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_only_our_own_reports_are_replaced_and_only_on_request(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    report([root], page)
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        report([root], page)
    report([root], page, overwrite=True)
    page.write_text("<html>mine</html>")
    with pytest.raises(OutputExistsError, match="no report of ours"):
        report([root], page, overwrite=True)
    assert page.read_text() == "<html>mine</html>"


def test_wrong_places_and_inputs_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset given"):
        report([], tmp_path / "page.html")
    with pytest.raises(InputError, match="inside the dataset"):
        report([root], root / "page.html")
    with pytest.raises(InputError, match="is a folder"):
        report([root], tmp_path)
    (root / "images/train/train_0001.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"train_0001\.jpg"):
        report([root], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_equal_folder_names_are_told_apart(root: Path, tmp_path: Path) -> None:
    summary = report([root, root], tmp_path / "page.html", pictures=1)
    assert len(summary.numbers["datasets"]) == 2


def test_one_coco_file_is_a_dataset_too(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "x.png", DRAWN.pixels["val", 1])
    summary = report([root / "annotations/instances_val.json"], tmp_path / "page.html")
    assert summary.numbers["datasets"] == {
        "instances_val": {"images": 2, "items": len(DRAWN.dataset.splits["val"].annotations)}
    }
