"""Draws docs/line.jpg, the README's four panels, from what `make demo` left in demo/: python docs/line_picture.py."""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.io.catalog import load_crops
from garbage_synth.io.dataset import image_path, read_dataset
from garbage_synth.io.images import encode_jpeg, read_rgb, read_rgba
from garbage_synth.report.draw import draw_labels

PANEL_WH = (420, 315)
TITLES = ("1  a phone photo", "2  segment: cut out", "3  composite: boxes from pixels", "4  refine: the same boxes")


def draw_line(demo: Path, photos: Path, *, crop_number: int, split: str, picture_number: int) -> NDArray[np.uint8]:
    """The four panels side by side, RGB uint8, from the folders `crops`, `dataset` and `refined` of a pipeline."""
    crop = load_crops(demo / "crops")[crop_number]
    panels = [read_rgb(photos / f"{crop.id}.jpg"), _on_grey(read_rgba(demo / "crops" / crop.file))]
    for name in ("dataset", "refined"):
        dataset = read_dataset(demo / name)
        record = dataset.splits[split].images[picture_number]
        mine = [a for a in dataset.splits[split].annotations if a.image_id == record.id]
        picture = read_rgb(image_path(demo / name, split, record))
        panels.append(draw_labels(picture, mine, dataset.categories, names=False))
    return np.hstack([_panel(picture, title) for picture, title in zip(panels, TITLES, strict=True)])


def _on_grey(crop_rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = crop_rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(crop_rgba[..., :3] * alpha + 96 * (1 - alpha), dtype=np.uint8)


def _panel(picture: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    width, height = PANEL_WH
    scale = min(width / picture.shape[1], height / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    panel = np.full((height + 34, width + 6, 3), 255, np.uint8)
    panel[34:, 3:-3] = 96
    top, left = 34 + (height - small.shape[0]) // 2, 3 + (width - small.shape[1]) // 2
    panel[top : top + small.shape[0], left : left + small.shape[1]] = small
    cv2.putText(panel, title, (6, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
    return panel


def main() -> None:
    """Reads demo/ and sample_data/ beside the docs folder; an argument names another demo folder."""
    root = Path(__file__).resolve().parents[1]
    demo = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "demo"
    panels = draw_line(demo, root / "sample_data" / "photos", crop_number=30, split="train", picture_number=2)
    (root / "docs" / "line.jpg").write_bytes(encode_jpeg(panels, 88))


if __name__ == "__main__":
    main()
