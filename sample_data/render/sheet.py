"""One picture that shows the whole sample set: photos, cut-outs, belts, and frames with their labels drawn."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from sample_data.render import sensor

__all__ = ["write_sheet"]

TILE_WH = (240, 180)
COLUMNS = 7
BAND = 22


def write_sheet(root: Path) -> Path:
    """Draws root/contact_sheet.jpg from the set under `root` and returns its path."""
    photos = [sorted(folder.glob("*.jpg"))[k] for k in (0, 1) for folder in sorted((root / "photos").iterdir())]
    crops = [
        sorted(path for path in folder.glob("*.png") if not path.stem.endswith("_mask"))[2]
        for folder in sorted((root / "crops").iterdir())
        if folder.is_dir()
    ]
    belts = sorted((root / "belts").glob("*.jpg"))[:COLUMNS]
    rows: list[tuple[str, list[Image.Image]]] = [
        ("photos: one item each, on a pale board", [Image.open(path).convert("RGB") for path in photos]),
        ("crops: the same individuals cut out, alpha = opacity", [_on_grey(path) for path in crops]),
        ("belts: empty", [Image.open(path).convert("RGB") for path in belts]),
        ("real/train: as the camera gives them", [_frame(root, "train", k, labels=False) for k in range(COLUMNS)]),
        ("real/test: with their exact labels drawn", [_frame(root, "test", k, labels=True) for k in range(COLUMNS)]),
    ]
    height = sum(BAND + TILE_WH[1] * -(-len(tiles) // COLUMNS) for _, tiles in rows)
    sheet = Image.new("RGB", (COLUMNS * TILE_WH[0], height), (24, 24, 26))
    pen = ImageDraw.Draw(sheet)
    top = 0
    for title, tiles in rows:
        pen.text((6, top + 4), title, fill=(230, 230, 230))
        top += BAND
        for number, tile in enumerate(tiles):
            tile.thumbnail(TILE_WH, Image.Resampling.LANCZOS)
            left = (number % COLUMNS) * TILE_WH[0] + (TILE_WH[0] - tile.width) // 2
            sheet.paste(tile, (left, top + number // COLUMNS * TILE_WH[1] + (TILE_WH[1] - tile.height) // 2))
        top += TILE_WH[1] * -(-len(tiles) // COLUMNS)
    path = root / "contact_sheet.jpg"
    path.write_bytes(sensor.jpeg_bytes(np.asarray(sheet), 85))
    return path


def _on_grey(path: Path) -> Image.Image:
    crop = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", (crop.width + 20, crop.height + 20), (72, 72, 74, 255))
    ground.alpha_composite(crop, (10, 10))
    return ground.convert("RGB")


def _frame(root: Path, split: str, number: int, *, labels: bool) -> Image.Image:
    document = json.loads((root / "real" / "annotations" / f"instances_{split}.json").read_text())
    record = document["images"][number]
    with Image.open(root / "real" / "images" / split / record["file_name"]) as opened:
        picture = np.asarray(opened.convert("RGB")).astype(np.float32)
    mine = [a for a in document["annotations"] if a["image_id"] == record["id"]] if labels else []
    hues = np.random.default_rng(1).integers(60, 255, (len(document["categories"]) + 1, 3)).astype(np.float32)
    for annotation in mine:
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        picture[mask] = 0.65 * picture[mask] + 0.35 * hues[annotation["category_id"]]
    drawn = Image.fromarray(picture.astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    for annotation in mine:
        x, y, width, height = annotation["bbox"]
        colour = tuple(int(v) for v in hues[annotation["category_id"]])
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=colour, width=2)
    return drawn
