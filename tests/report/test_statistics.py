import pytest

from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.report.statistics import split_statistics


def item(key: int, image_id: int, side: float, visible: object = None) -> Annotation:
    extra = {} if visible is None else {"visible_fraction": visible}
    return Annotation(key, image_id, 1, (0.0, 0.0, side, side), side * side, 0, None, extra)


def dataset(*annotations: Annotation) -> Dataset:
    images = tuple(ImageRecord(index, f"{index}.jpg", 100 + 20 * (index == 3), 50) for index in (1, 2, 3))
    return Dataset({1: "can", 2: "cup"}, {"train": Split(images, annotations), "none": Split((), ())})


def test_an_empty_split_counts_nothing() -> None:
    numbers = split_statistics(dataset(), "none")
    assert (numbers.images, numbers.annotations, numbers.empty_images) == (0, 0, 0)
    assert numbers.per_class == (("can", 0), ("cup", 0))
    assert numbers.items_per_image.pairs() == []
    assert sum(numbers.side_px.counts) == 0
    assert numbers.visible is None


def test_counts_and_bins() -> None:
    numbers = split_statistics(dataset(item(1, 1, 15.9), item(2, 1, 16.0, 1.0), item(3, 2, 9999, 0.2)), "train")
    assert numbers.per_class == (("can", 3), ("cup", 0))
    assert numbers.items_per_image.pairs() == [("0", 1), ("1", 1), ("2", 1)]
    assert numbers.empty_images == 1
    assert dict(numbers.side_px.pairs()) == pytest.approx(
        {"0 to 16": 1, "16 to 32": 1, "32 to 64": 0, "64 to 128": 0, "128 to 256": 0, "256 to 512": 0, "from 512": 1}
    )
    assert numbers.visible is not None
    assert numbers.visible.counts == (0, 1, 0, 0, 1)
    assert numbers.sizes == (("100x50", 2), ("120x50", 1))


def test_an_unknown_split_is_an_error() -> None:
    with pytest.raises(KeyError):
        split_statistics(dataset(), "val")
