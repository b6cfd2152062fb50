import pytest
from hypothesis import given
from hypothesis import strategies as st

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.errors import InputError
from garbage_synth.formats import voc


def dataset(names: dict[str, list[str]], *annotations: Annotation, category: str = "can") -> Dataset:
    splits = {
        split: Split(
            tuple(ImageRecord(index, name, 200, 100) for index, name in enumerate(files, start=1)),
            annotations if split == "train" else (),
        )
        for split, files in names.items()
    }
    return Dataset({1: category, 2: "cup"}, splits)


def item(box: tuple[float, float, float, float], iscrowd: int = 0, **extra: object) -> Annotation:
    return Annotation(1, 1, 1, box, 1.0, iscrowd, None, extra)


def test_boxes_count_from_one_and_include_both_ends() -> None:
    text = voc.encode(dataset({"train": ["a.jpg"]}, item((0, 0, 200, 100))))["Annotations/a.xml"]
    for tag in ("<xmin>1</xmin>", "<ymin>1</ymin>", "<xmax>200</xmax>", "<ymax>100</ymax>"):
        assert tag in text


@given(
    st.integers(0, 100), st.integers(0, 50), st.integers(1, 90), st.integers(1, 50), st.booleans(), st.text(min_size=1)
)
def test_decode_gives_back_what_encode_wrote(x: int, y: int, w: int, h: int, crowd: bool, name: str) -> None:
    name = "".join(letter for letter in name if letter.isprintable()).strip() or "a<b>&'c'"
    text = voc.encode(dataset({"train": ["a.jpg"]}, item((x, y, w, h), int(crowd)), category=name))["Annotations/a.xml"]
    assert voc.decode(text, source="a.xml") == ("a.jpg", (200, 100), [(name, (x, y, w, h), crowd)])


@pytest.mark.parametrize(
    ("box", "written"),
    [((10.6, 3, 0.2, 4), (11, 3, 1, 4)), ((-5, -5, 400, 400), (0, 0, 200, 100)), ((300, 5, 9, 9), (199, 5, 1, 9))],
)
def test_boxes_become_whole_pixels_of_the_picture(
    box: tuple[float, float, float, float], written: tuple[int, int, int, int]
) -> None:
    text = voc.encode(dataset({"train": ["a.jpg"]}, item(box)))["Annotations/a.xml"]
    assert voc.decode(text, source="a.xml")[2] == [("can", written, False)]


def test_lists_of_splits_and_classes_are_written() -> None:
    files = voc.encode(dataset({"train": ["a.jpg"], "val": ["b.jpg", "c.jpg"]}))
    assert files["ImageSets/Main/val.txt"] == "b\nc\n"
    assert files["labels.txt"] == "can\ncup\n"


def test_items_cut_by_the_frame_are_marked() -> None:
    text = voc.encode(dataset({"train": ["a.jpg"]}, item((0, 0, 9, 9), truncated=True)))["Annotations/a.xml"]
    assert "<truncated>1</truncated>" in text


def test_pictures_of_two_splits_with_one_name_are_told_apart() -> None:
    paths = voc.picture_paths(dataset({"train": ["0001.jpg"], "val": ["0001.jpg"]}))
    assert paths == {("train", 1): "JPEGImages/train_0001.jpg", ("val", 1): "JPEGImages/val_0001.jpg"}


def test_folders_in_file_names_become_flat() -> None:
    assert voc.picture_paths(dataset({"train": ["night/1.jpg"]})) == {("train", 1): "JPEGImages/night_1.jpg"}


def test_pictures_that_differ_in_their_ending_only_are_refused() -> None:
    with pytest.raises(InputError, match="differ in their ending only"):
        voc.encode(dataset({"train": ["a.jpg", "a.png"]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "not a Pascal VOC"),
        ("<annotation/>", "<size/width> is missing"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "document type"),
        ("<annotation><size><width>w</width></size></annotation>", "not a Pascal VOC"),
    ],
)
def test_damaged_xml_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.xml: .*{message}"):
        voc.decode(text, source="a.xml")
