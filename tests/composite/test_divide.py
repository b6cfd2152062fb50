"""Train and val never share a source."""

from hypothesis import given, settings
from hypothesis import strategies as st

from garbage_synth.composite.divide import choose_photos, divide_belts, divide_count, divide_crops
from tests.composite.scenes import background, crop


def test_counts() -> None:
    assert divide_count(10, 0.2) == {"train": 8, "val": 2}
    assert divide_count(2, 0.2) == {"train": 1, "val": 1}
    assert divide_count(1, 0.2) == {"train": 1, "val": 0}
    assert divide_count(10, 0.0) == {"train": 10, "val": 0}
    assert divide_count(3, 0.99) == {"train": 1, "val": 2}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["can", "cup", "bag"]), st.integers(0, 9)), min_size=1, max_size=30),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
)
def test_no_source_is_in_both_and_no_crop_is_lost(pairs: list[tuple[str, int]], fraction: float, seed: int) -> None:
    crops = [crop(f"{name}/{number}", source=f"photo{photo}") for number, (name, photo) in enumerate(pairs)]
    divided, warnings = divide_crops(crops, fraction, seed)
    assert sorted(c.id for split in divided.values() for c in split) == sorted(c.id for c in crops)
    assert not {c.source for c in divided["train"]} & {c.source for c in divided["val"]}
    for split in ("train", "val"):
        for name in {c.category for c in crops} - {c.category for c in divided[split]}:
            assert any(name in text for text in warnings)


def test_every_class_with_two_sources_is_in_both() -> None:
    crops = [crop(f"{name}/{number}") for name in ("a", "b") for number in range(10)] + [crop("c/0"), crop("c/1")]
    divided, warnings = divide_crops(crops, 0.2, 0)
    assert warnings == ()
    assert [sum(c.category == name for c in divided["val"]) for name in "abc"] == [2, 2, 1]


def test_class_with_one_crop_stays_in_train_and_is_named() -> None:
    divided, warnings = divide_crops([crop("lid/0"), crop("can/0"), crop("can/1")], 0.2, 0)
    assert [c.category for c in divided["val"]] == ["can"]
    assert len(warnings) == 1
    assert "lid" in warnings[0]


def test_no_val_means_all_crops_and_belts_in_train() -> None:
    divided, warnings = divide_crops([crop("can/0"), crop("can/1")], 0.0, 0)
    assert len(divided["train"]) == 2
    assert warnings == ()
    belts, warnings = divide_belts([background(name="a")], 0.0, 0)
    assert (len(belts["train"]), len(belts["val"]), warnings) == (1, 0, ())


def test_few_belts_are_shared_with_a_warning_and_five_are_divided() -> None:
    four = [background(name=f"b{number}") for number in range(4)]
    shared, warnings = divide_belts(four, 0.2, 0)
    assert shared["train"] == shared["val"] == tuple(four)
    assert "share" in warnings[0]
    five, warnings = divide_belts([*four, background(name="b4"), background(name="again", source="b4")], 0.2, 0)
    assert warnings == ()
    assert five["val"]
    assert not {belt.source for belt in five["train"]} & {belt.source for belt in five["val"]}


def test_division_depends_on_the_seed() -> None:
    crops = [crop(f"can/{number}") for number in range(20)]
    chosen = {tuple(c.id for c in divide_crops(crops, 0.2, seed)[0]["val"]) for seed in range(4)}
    assert len(chosen) > 1


def test_chosen_photos_are_so_many_of_each_class_and_fewer_are_part_of_more() -> None:
    crops = [crop(f"{name}/{number}", source=f"{name}{number // 2}") for name in ("a", "b") for number in range(12)]
    crops.append(crop("c/0"))
    assert choose_photos(crops, None, 0) == tuple(crops)
    chosen = {most: choose_photos(crops, most, 3) for most in (1, 2, 5, 9)}
    assert [sum(c.category == name for c in chosen[2]) for name in "abc"] == [4, 4, 1]  # two crops of each photo
    assert set(chosen[1]) < set(chosen[2]) < set(chosen[5]) < set(chosen[9])
    assert chosen[9] == tuple(crops)
    assert len({choose_photos(crops, 2, seed) for seed in range(8)}) > 1
