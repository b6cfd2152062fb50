"""Small pictures and folders for tests, drawn, deterministic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from garbage_synth.core.masks import box_of_mask, rle_of_mask
from garbage_synth.core.types import Annotation, Dataset, ImageRecord, Split
from garbage_synth.io.dataset import write_annotations

__all__ = [
    "DrawnDataset",
    "belt_rgb",
    "drawn_dataset",
    "item_rgba",
    "make_belts",
    "make_crops",
    "photo_rgb",
    "save",
    "write_tree",
]


@dataclass(frozen=True)
class DrawnDataset:
    """A dataset with its pixels: (split, image id) -> RGB uint8 (h, w, 3)."""

    dataset: Dataset
    pixels: Mapping[tuple[str, int], NDArray[np.uint8]]


def belt_rgb(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """An empty belt: dark, with grain and uneven light, RGB uint8 (h, w, 3)."""
    rng = np.random.default_rng(seed)
    light = np.linspace(50, 75, width)[None, :, None] + np.linspace(0, 10, height)[:, None, None]
    return np.clip(light + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)


def item_rgba(width: int, height: int, colour: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A textured ellipse that fills its frame, RGBA uint8 (h, w, 4), alpha soft by a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    alpha = np.clip((1 - radius) * min(width, height) / 2 + 0.5, 0, 1)
    rgb = np.clip(np.array(colour) + rng.normal(0, 8, (height, width, 1)), 0, 255)
    return np.dstack([rgb, alpha * 255]).astype(np.uint8)


def photo_rgb(width: int, height: int, colour: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """One ellipse in the middle of a pale board, RGB uint8 (h, w, 3)."""
    board = np.full((height, width, 3), 225.0) + np.random.default_rng(seed).normal(0, 2, (height, width, 1))
    item = item_rgba(width // 2, height // 2, colour, seed).astype(float)
    top, left = height // 4, width // 4
    window = board[top : top + item.shape[0], left : left + item.shape[1]]
    window += (item[..., :3] - window) * item[..., 3:] / 255
    return np.clip(board, 0, 255).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """The path, now holding the pixels (gray, RGB or RGBA) in the format of its ending; JPEG at quality 95."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix in (".jpg", ".jpeg") else {}))
    return path


def make_crops(folder: Path, classes: dict[str, int] | None = None, size: int = 40) -> Path:
    """The folder, now holding <class>/<class>_<n>.png (default: 4 cans and 4 bottles)."""
    for position, (name, count) in enumerate((classes or {"bottle": 4, "can": 4}).items()):
        for number in range(count):
            colour = (60 + 50 * position, 200 - 40 * number % 160, 90 + 30 * number % 160)
            save(folder / name / f"{name}_{number}.png", item_rgba(size + 4 * number, size, colour, number))
    return folder


def make_belts(folder: Path, count: int = 3, size_wh: tuple[int, int] = (160, 120), sidecars: bool = True) -> Path:
    """The folder, now holding belt_<n>.jpg with sidecars: whole-frame polygon, 2 mm per pixel, travel to the right."""
    width, height = size_wh
    for number in range(count):
        save(folder / f"belt_{number}.jpg", belt_rgb(width, height, number))
        if sidecars:
            fields = {
                "polygon_px": [[0, 0], [width, 0], [width, height], [0, height]],
                "belt_mm_per_px": 2.0,
                "travel_deg": 0.0,
            }
            (folder / f"belt_{number}.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return folder


def drawn_dataset(sizes_wh: Mapping[str, Sequence[tuple[int, int]]], seed: int = 0) -> DrawnDataset:
    """A dataset of ellipses on belts with exact masks: split -> size of each picture.

    Three classes (can, paper, bottle by id), one to three items a picture that may cover each other; the last picture
    of every split is empty. Pixels by (split, image id).
    """
    colours = {1: (200, 60, 50), 2: (60, 190, 80), 3: (70, 90, 220)}
    splits, pixels = {}, {}
    for split, sizes in sizes_wh.items():
        rng = np.random.default_rng([seed, len(split)])
        images, annotations = [], []
        for index, (width, height) in enumerate(sizes, start=1):
            image = belt_rgb(width, height, seed + index)
            owner = np.zeros((height, width), dtype=np.int64)
            categories = [int(key) for key in rng.integers(1, 4, 0 if index == len(sizes) else rng.integers(1, 4))]
            for number, key in enumerate(categories, start=1):
                y, x = np.mgrid[:height, :width] + 0.5
                centre = rng.uniform(0.25, 0.75, 2) * (width, height)
                half = rng.uniform(0.12, 0.25, 2) * min(width, height)
                inside = np.hypot((x - centre[0]) / half[0], (y - centre[1]) / half[1]) < 1
                owner[inside] = number
                image[inside] = colours[key]
            for number, key in enumerate(categories, start=1):
                box = box_of_mask(owner == number)
                if box is None:
                    continue
                mask = owner == number
                annotations.append(
                    Annotation(
                        id=len(annotations) + 1,
                        image_id=index,
                        category_id=key,
                        bbox_xywh=(float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])),
                        area=float(mask.sum()),
                        iscrowd=0,
                        segmentation=rle_of_mask(mask),
                        extra={"visible_fraction": 1.0},
                    )
                )
            images.append(ImageRecord(index, f"{split}_{index:04d}.jpg", width, height))
            pixels[split, index] = image
        splits[split] = Split(tuple(images), tuple(annotations))
    return DrawnDataset(Dataset({1: "can", 2: "paper", 3: "bottle"}, splits, {"description": "drawn"}), pixels)


def write_tree(root: Path, drawn: DrawnDataset, formats: Sequence[str] = ("coco",)) -> Path:
    """root, now holding the dataset as the compositor lays it out."""
    for split_name, split in drawn.dataset.splits.items():
        for record in split.images:
            save(root / "images" / split_name / record.file_name, drawn.pixels[split_name, record.id])
    write_annotations(root, drawn.dataset, formats=formats)
    return root
