"""The stage as a user calls it, with a small random generator on small pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from garbage_synth.config.refine import RefineConfig
from garbage_synth.core.progress import NullProgress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError, OutputExistsError
from garbage_synth.gan.generator_file import GeneratorCard, generator_file_name, save_generator
from garbage_synth.gan.networks import GeneratorSpec, init_weights
from garbage_synth.io.dataset import read_dataset
from garbage_synth.io.images import read_rgb
from garbage_synth.io.output import read_manifest
from garbage_synth.refine import translate
from garbage_synth.refine.memory import peak_bytes
from garbage_synth.refine.translate import Translator
from garbage_synth.stages import refine as module
from garbage_synth.stages.refine import refine
from tests.makers import drawn_dataset, save, write_tree

DRAWN = drawn_dataset({"train": [(48, 36), (41, 35), (20, 50)], "val": [(36, 48), (33, 33)]}, seed=5)


def make_generator(
    path: Path, direction: str = "synthetic-to-real", resize: int | None = None, seed: int = 0, averaged: bool = True
) -> Path:
    card = GeneratorCard("resnet6", 4, direction, resize, 32, 7, averaged)  # type: ignore[arg-type]
    network = card.spec.build()
    init_weights(network, torch.Generator().manual_seed(seed), 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_generator(path, network, card)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "dataset", DRAWN)


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    return make_generator(tmp_path / "run" / generator_file_name("synthetic-to-real", "ema"))


def call(dataset: Path, generator: Path, out: Path, **flags: Any) -> StageSummary:
    """Without the label check, which a random generator would not pass; test_label_check.py has it."""
    config = flags.pop("config", RefineConfig()).model_copy(update={"check": False})
    return refine(dataset, generator, out, **{"device": "cpu", "precision": "fp32", "config": config, **flags})


def files(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, which holds timings."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop("garbage-synth.json", None)
    return found


def test_pictures_are_rewritten_at_their_size_under_their_names(tree: Path, generator: Path, tmp_path: Path) -> None:
    summary = call(tree, generator.parent, tmp_path / "out")
    before, after = files(tree), files(tmp_path / "out")
    pictures = {name for name in before if name.startswith("images/")}
    assert {name for name in after if name.startswith("images/")} == pictures
    assert len(pictures) == 5
    for name in pictures:
        assert read_rgb(tmp_path / "out" / name).shape == read_rgb(tree / name).shape
        assert after[name] != before[name]
    assert summary.numbers["images"] == 5
    assert summary.open_file is not None
    assert summary.open_file.is_file()


def test_labels_are_carried_over_to_the_byte(tree: Path, generator: Path, tmp_path: Path) -> None:
    path = tree / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    document["annotations"][0] |= {"visible_fraction": 0.123456789, "note": "ä", "id": 77}
    document["images"][0]["camera"] = {"name": "A"}
    path.write_text(json.dumps(document))
    (tree / "scenes.jsonl").write_text('{"scene": 1}\n')
    call(tree, generator.parent, tmp_path / "out")
    assert read_dataset(tmp_path / "out") == read_dataset(tree)
    before, after = files(tree), files(tmp_path / "out")
    for split in ("train", "val"):
        assert after[f"annotations/instances_{split}.json"] == before[f"annotations/instances_{split}.json"]
    assert after["scenes.jsonl"] == b'{"scene": 1}\n'
    assert not any(name.startswith("labels/") for name in after)
    stats = json.loads(after["stats.json"])
    assert stats["images"] == {"train": 3, "val": 2}
    assert stats["labels_checked"] is False


def test_sizes_that_the_labels_lack_are_filled_in(tree: Path, generator: Path, tmp_path: Path) -> None:
    path = tree / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    del document["images"][0]["width"]
    path.write_text(json.dumps(document))
    call(tree, generator.parent, tmp_path / "out")
    carried = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    assert [image["width"] for image in carried["images"]] == [48, 41, 20]
    assert len(carried["annotations"]) == len(document["annotations"])


def test_yolo_labels_are_carried_over_where_there_are_any(tmp_path: Path, generator: Path) -> None:
    tree = write_tree(tmp_path / "dataset", DRAWN, formats=("coco", "yolo"))
    call(tree, generator.parent, tmp_path / "out")
    before, after = files(tree), files(tmp_path / "out")
    labels = {name for name in before if name.startswith("labels/") or name == "data.yaml"}
    assert labels
    assert {name: after[name] for name in labels} == {name: before[name] for name in labels}


def test_png_stays_png_and_jpeg_takes_its_quality(tmp_path: Path, generator: Path) -> None:
    tree = write_tree(tmp_path / "dataset", DRAWN)
    path = tree / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    document["images"][0]["file_name"] = "deep/one.PNG"
    path.write_text(json.dumps(document))
    save(tree / "images" / "train" / "deep" / "one.png", DRAWN.pixels["train", 1]).rename(
        tree / "images" / "train" / "deep" / "one.PNG"
    )
    sizes = []
    for quality in (95, 20):
        out = tmp_path / f"out{quality}"
        call(tree, generator.parent, out, config=RefineConfig(jpeg_quality=quality))
        with Image.open(out / "images" / "train" / "deep" / "one.PNG") as image:
            assert image.format == "PNG"
        with Image.open(out / "images" / "val" / "val_0001.jpg") as image:
            assert image.format == "JPEG"
        sizes.append((out / "images" / "val" / "val_0001.jpg").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]
    png = read_rgb(tmp_path / "out95" / "images" / "train" / "deep" / "one.PNG")
    network = Translator(module.load_generator(generator)[0], device=torch.device("cpu"), half=False)
    assert np.array_equal(png, network(DRAWN.pixels["train", 1])[0])


def test_interrupted_run_goes_on_where_it_was_and_gives_the_same_bytes(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tree, generator.parent, tmp_path / "whole")
    whole = Translator.__call__
    seen: list[tuple[int, ...]] = []

    def third_fails(self: Translator, image: Any) -> Any:
        seen.append(image.shape)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return whole(self, image)

    monkeypatch.setattr(Translator, "__call__", third_fails)
    with pytest.raises(KeyboardInterrupt):
        call(tree, generator.parent, tmp_path / "parts")
    assert (read_manifest(tmp_path / "parts") or {})["status"] == "begun"
    call(tree, generator.parent, tmp_path / "parts", resume=True)
    assert len(seen) == 6  # two before, the one that failed, three after
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    call(tree, generator.parent, tmp_path / "parts", resume=True)
    assert len(seen) == 6


def test_resume_with_another_generator_dataset_or_setting_is_refused(
    tree: Path, generator: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call(tree, generator.parent, out)
    with pytest.raises(InputError, match="jpeg_quality"):
        call(tree, generator.parent, out, resume=True, config=RefineConfig(jpeg_quality=50))
    call(tree, generator.parent, out, resume=True, config=RefineConfig(decode_threads=5))
    other = make_generator(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(InputError, match="generator"):
        call(tree, other, out, resume=True)
    with pytest.raises(OutputExistsError):
        call(tree, generator.parent, out)
    call(tree, other, out, overwrite=True)
    with pytest.raises(InputError, match="inside the input"):
        call(tree, generator, tree / "out")


def test_output_in_the_picture_folder_of_a_bare_coco_file_is_refused(
    tree: Path, generator: Path, tmp_path: Path
) -> None:
    pictures = tree / "images" / "val"
    with pytest.raises(InputError, match=f"lies inside the input {pictures}"):
        call(tree / "annotations" / "instances_val.json", generator, pictures / "out")


def test_run_folder_means_the_best_averaged_generator(tree: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for seed, variant in enumerate(("", "ema", "best_ema")):
        make_generator(run / generator_file_name("synthetic-to-real", variant), seed=seed)  # type: ignore[arg-type]
        summary = call(tree, run, tmp_path / f"out{seed}")
        assert summary.numbers["generator"] == generator_file_name("synthetic-to-real", variant)  # type: ignore[arg-type]
    assert files(tmp_path / "out1") != files(tmp_path / "out2")


def test_direction_chooses_in_a_run_and_is_named_where_a_file_has_another(
    tree: Path, generator: Path, tmp_path: Path
) -> None:
    backward = make_generator(generator.parent / generator_file_name("real-to-synthetic"), "real-to-synthetic", seed=3)
    summary = call(tree, generator.parent, tmp_path / "out", direction="real-to-synthetic")
    assert summary.numbers["generator"] == backward.name
    assert summary.warnings == ()
    summary = call(tree, backward, tmp_path / "other")
    assert "is one for real-to-synthetic" in summary.warnings[0]
    with pytest.raises(InputError, match="synthetic-to-real or real-to-synthetic"):
        call(tree, generator, tmp_path / "third", direction="sideways")


def test_trained_size_is_applied_and_what_changes_is_done_at_the_own_size(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    inner = Translator._change

    def spy(self: Translator, image: Any) -> Any:
        sizes.append(min(image.shape[:2]))
        return inner(self, image)

    monkeypatch.setattr(Translator, "_change", spy)
    small = make_generator(tmp_path / "small.safetensors", resize=24)
    summary = call(tree, small, tmp_path / "out")
    assert sizes == [24] * 5
    assert "--resize short:24" in summary.warnings[0]
    for (split, number), pixels in DRAWN.pixels.items():
        name = f"images/{split}/{split}_{number:04d}.jpg"
        assert read_rgb(tmp_path / "out" / name).shape == pixels.shape


def test_memory_counts_the_picture_that_a_change_is_scaled_up_to(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(module, "refuse_oversize", lambda *arguments, **_: asked.append(arguments))
    call(tree, make_generator(tmp_path / "small.safetensors", resize=24), tmp_path / "out", dry_run=True)
    ((name, computed_wh, _, _, own_wh, check_bytes),) = asked
    assert check_bytes == 0
    assert Path(name).name == "train_0003.jpg"  # the longest: 24x60 pixels are computed
    assert (computed_wh, own_wh) == ((24, 60), (20, 50))


def test_emulated_bf16_is_warned_of_and_not_advised(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = RefineConfig(max_memory_gb=1e-4)
    for native in (True, False):
        monkeypatch.setattr(module, "computes_bf16", lambda _, native=native: native)
        warnings = call(tree, generator, tmp_path / "out", precision="bf16", dry_run=True).warnings
        assert any("emulated" in warning for warning in warnings) != native
        with pytest.raises(InputError, match="GB may be taken") as caught:
            call(tree, generator, tmp_path / "out", config=small)
        assert ("--precision bf16" in str(caught.value)) == native


def test_bf16_differs_from_fp32_by_a_few_levels(tree: Path, generator: Path, tmp_path: Path) -> None:
    full, half = tmp_path / "full", tmp_path / "half"
    call(tree, generator, full, precision="fp32")
    summary = call(tree, generator, half, precision="bf16")
    assert summary.numbers["device"].endswith("bf16")
    name = "images/train/train_0001.jpg"
    difference = np.abs(read_rgb(full / name).astype(int) - read_rgb(half / name))
    assert 0 < difference.mean() < 4


def test_dry_run_counts_and_writes_nothing(tree: Path, generator: Path, tmp_path: Path) -> None:
    assert call(tree, generator, tmp_path / "out", dry_run=True).numbers["images"] == 5
    assert not (tmp_path / "out").exists()


def test_a_finished_output_is_found_finished_without_a_look_at_the_weights(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(tree, generator, tmp_path / "out")
    monkeypatch.setattr(module, "load_generator", None)
    assert call(tree, generator, tmp_path / "out", resume=True).numbers["images"] == 5


@pytest.mark.parametrize("flags", [{}, {"dry_run": True}, {"overwrite": True}])
def test_weights_that_do_not_fit_are_refused_before_anything_is_written_or_replaced(
    tree: Path, generator: Path, tmp_path: Path, flags: dict[str, bool]
) -> None:
    out = tmp_path / "out"
    if "overwrite" in flags:
        call(tree, generator, out)
    before = files(out)
    card = GeneratorCard("resnet9", 4, "synthetic-to-real", None, 32, 7, True)
    save_generator(generator, GeneratorSpec("resnet6", 4).build(), card)
    with pytest.raises(InputError, match="does not hold the weights its metadata promises"):
        call(tree, generator, out, **flags)
    assert files(out) == before
    assert out.exists() == ("overwrite" in flags)


def test_picture_that_does_not_fit_the_memory_is_refused_before_anything_is_written(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"_0001\.jpg of .*GB may be taken; it takes 0\.1 at least"):
        call(tree, generator, tmp_path / "out", config=RefineConfig(max_memory_gb=1e-4))
    monkeypatch.setattr(module, "free_bytes", lambda _: 1)
    with pytest.raises(InputError, match="GB may be taken"):
        call(tree, generator, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_label_check_counts_in_the_memory_that_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_workers", lambda: 16)
    monkeypatch.setattr(module, "free_bytes", lambda _: 40 * 100)
    assert module._check_threads(100, None) == 10  # a quarter of what is free
    assert module._check_threads(100, 750) == 7
    assert module._check_threads(100, 99) == 1
    assert module._check_threads(100, 9999) == 16
    monkeypatch.setattr(module, "free_bytes", lambda _: None)
    assert module._check_threads(100, None) == 16


def test_picture_that_fits_but_for_its_label_check_is_refused(tree: Path, generator: Path, tmp_path: Path) -> None:
    needed = peak_bytes((48, 36), base_channels=4, half=False)
    config = RefineConfig(max_memory_gb=(needed + 50_000) / 2**30)  # the check of a picture takes 200,000
    assert call(tree, generator, tmp_path / "out", config=config, dry_run=True).numbers["in_bands"] == 0
    with pytest.raises(InputError, match="in the generator and the label check"):
        refine(tree, generator, tmp_path / "out", device="cpu", precision="fp32", config=config)


def large_ones_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the five pictures, whatever the memory of this machine."""
    monkeypatch.setattr(module, "whole_frame_bytes", lambda _: peak_bytes((41, 35), base_channels=4, half=False))


def test_pictures_over_the_memory_are_computed_in_bands_to_the_same_pixels(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pngs(out: Path) -> tuple[StageSummary, list[str]]:
        said: list[str] = []
        progress = NullProgress()
        monkeypatch.setattr(progress, "message", said.append, raising=True)
        return call(tree, generator, out, config=RefineConfig(jpeg_quality=100), progress=progress), said

    whole, said = pngs(tmp_path / "whole")
    assert whole.numbers["in_bands"] == 0
    assert not any("bands" in line for line in said)
    large_ones_in_bands(monkeypatch)
    walked = []
    inner = translate.walk

    def spy(network: Any, read: Any, size_hw: tuple[int, int], rows: int) -> Any:
        walked.append(size_hw[0])
        return inner(network, read, size_hw, 16)

    monkeypatch.setattr(translate, "walk", spy)
    parts, said = pngs(tmp_path / "parts")
    assert parts.numbers["in_bands"] == 2
    assert walked == [36, 48]
    (line,) = (line for line in said if "bands" in line)
    assert line.startswith("2 of 5 pictures are computed in bands of rows")
    for name in files(tree):
        if name.startswith("images/"):
            difference = read_rgb(tmp_path / "whole" / name).astype(int) - read_rgb(tmp_path / "parts" / name)
            assert np.abs(difference).max() <= 3  # a level in the picture, a few in JPEG


def test_what_is_computed_in_bands_belongs_to_what_a_run_is(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    call(tree, generator, out, config=RefineConfig(max_memory_gb=4))
    monkeypatch.setattr(module, "free_bytes", lambda _: 2**30)
    call(tree, generator, out, resume=True)
    call(tree, generator, out, resume=True, config=RefineConfig(max_memory_gb=8))
    large_ones_in_bands(monkeypatch)
    with pytest.raises(InputError, match="in_bands = 0, now it is 2"):
        call(tree, generator, out, resume=True)


def test_memory_that_runs_out_is_said_with_what_to_change(
    tree: Path, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Translator, "__call__", full)
    with pytest.raises(GarbageSynthError, match="memory ran out while rewriting"):
        call(tree, generator, tmp_path / "out")

    def wrong(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Translator, "__call__", wrong)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        call(tree, generator, tmp_path / "out", resume=True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda tree: (tree / "images" / "val" / "val_0001.jpg").unlink(), r"val_0001\.jpg does not exist"),
        (lambda tree: (tree / "images" / "val" / "val_0001.jpg").write_text("text"), r"val_0001\.jpg"),
        (lambda tree: save(tree / "images" / "val" / "val_0001.jpg", DRAWN.pixels["train", 1]), "labels were made for"),
        (lambda tree: (tree / "annotations" / "instances_val.json").write_text("{"), r"instances_val\.json"),
    ],
)
def test_dataset_with_a_defect_is_refused_before_anything_is_written(
    tree: Path, generator: Path, tmp_path: Path, change: Any, word: str
) -> None:
    change(tree)
    with pytest.raises(InputError, match=word):
        call(tree, generator, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_picture_of_another_kind_and_a_dataset_without_pictures_are_refused(
    tree: Path, generator: Path, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        path = tree / "annotations" / f"instances_{split}.json"
        document = json.loads(path.read_text())
        document["images"][0]["file_name"] = "one.bmp"
        path.write_text(json.dumps(document))
        save(tree / "images" / split / "one.bmp", DRAWN.pixels[split, 1])
    with pytest.raises(InputError, match=r"one\.bmp is neither JPEG nor PNG"):
        call(tree, generator, tmp_path / "out")
    for split in ("train", "val"):
        path = tree / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"images": [], "annotations": []}))
    with pytest.raises(InputError, match="lists no picture"):
        call(tree, generator, tmp_path / "out")
