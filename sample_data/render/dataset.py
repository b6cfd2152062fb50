"""The folders of a rendered set: pictures are written one by one, COCO files and catalogues once at the end."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from sample_data.render import line, sensor, studio
from sample_data.render.frames import Frame, FrameSet, render_belt, render_frame
from sample_data.render.individuals import Individual
from sample_data.render.items import CATEGORIES
from sample_data.render.photos import render_photo

__all__ = ["write_belts", "write_frames", "write_photos"]

FRAME_JPEG_QUALITY = 88
BELT_JPEG_QUALITY = 88
PHOTO_JPEG_QUALITY = 88
PARTS = ".parts"
"""Where each finished picture leaves a record, so that an interrupted rendering goes on."""
INFO = {
    "description": "garbage-synth sample line: a rendered sorting belt that stands in for a camera",
    "version": "1",
    "contributor": "garbage-synth",
}
LICENSES = [{"id": 1, "name": "MIT", "url": ""}]


def write_frames(out: Path, frames: FrameSet, count: int) -> None:
    """Renders `count` frames into out/images/<name> and out/annotations/instances_<name>.json.

    Each finished frame leaves its annotations in out/.parts; a later call renders what is missing and joins again.
    """
    parts = out / PARTS / frames.name
    for index in tqdm(range(count), desc=f"frames {frames.name}", unit="frame"):
        part = parts / f"{index:05d}.json"
        if _is_part_of(part, _series(frames)):
            continue
        frame = render_frame(frames, index)
        name = f"{frames.name}_{index:05d}.jpg"
        _write(out / "images" / frames.name / name, sensor.jpeg_bytes(frame.image_rgb, FRAME_JPEG_QUALITY))
        _write_json(part, _frame_record(frames, name, frame))
    records = [json.loads((parts / f"{index:05d}.json").read_text()) for index in range(count)]
    _write_json(out / "annotations" / f"instances_{frames.name}.json", _coco(records))


def write_belts(out: Path, *, seed: int, count: int, size_wh: tuple[int, int], quality: studio.RenderQuality) -> None:
    """Renders `count` empty belts with their sidecars into `out`; records of finished ones lie beside it."""
    for number in tqdm(range(count), desc="belts", unit="belt"):
        path = out / f"belt_{number:02d}.jpg"
        part = out.parent / PARTS / "belts" / f"{path.stem}.json"
        if not part.exists():
            _write(path, sensor.jpeg_bytes(render_belt(seed, number, size_wh, quality), BELT_JPEG_QUALITY))
            _write_json(part, {})
        sidecar = {
            "polygon_px": [list(corner) for corner in line.belt_polygon_px(size_wh)],
            "belt_mm_per_px": line.FRAME_WIDTH_MM / size_wh[0],
            "travel_deg": line.travel_deg(),
        }
        _write(path.with_suffix(".yaml"), yaml.safe_dump(sidecar, sort_keys=True).encode())


def write_photos(
    out: Path, individuals: Iterable[Individual], *, size_wh: tuple[int, int], quality: studio.RenderQuality
) -> None:
    """Renders photos, photos_truth and crops of the individuals, and crops/crops.json, under `out`.

    Each finished photo leaves its entry in out/.parts; a later call renders what is missing and joins all.
    """
    for individual in tqdm(list(individuals), desc="photos", unit="photo"):
        stem = f"{individual.category}_{individual.number:03d}"
        part = out / PARTS / "photos" / f"{stem}.json"
        series = [individual.set_name, list(size_wh), quality.samples]
        if not _is_part_of(part, series):
            _write_json(part, {"series": series, "entry": _write_photo(out, individual, stem, size_wh, quality)})
    entries = [json.loads(part.read_text())["entry"] for part in (out / PARTS / "photos").glob("*.json")]
    _write_json(
        out / "crops" / "crops.json", {"version": 1, "crops": sorted(entries, key=lambda entry: str(entry["file"]))}
    )


def _write_photo(
    out: Path, individual: Individual, stem: str, size_wh: tuple[int, int], quality: studio.RenderQuality
) -> dict[str, Any]:
    photo = render_photo(individual, size_wh, quality)
    category = individual.category
    _write(out / "photos" / category / f"{stem}.jpg", sensor.jpeg_bytes(photo.image_rgb, PHOTO_JPEG_QUALITY))
    _write_png(out / "photos_truth" / category / f"{stem}.png", photo.silhouette)
    crop = out / "crops" / category / f"{stem}.png"
    _write_png(crop, photo.crop_rgba)
    mask_path = crop.with_name(f"{stem}_mask.png")
    if photo.crop_silhouette is not None:
        _write_png(mask_path, photo.crop_silhouette)
    else:
        mask_path.unlink(missing_ok=True)
    return {
        "file": f"{category}/{stem}.png",
        "class": category,
        "source": f"photos/{category}/{stem}.jpg",
        "method": "render",
        "quality": 1.0,
        "size_px": [photo.crop_rgba.shape[1], photo.crop_rgba.shape[0]],
        "length_mm": photo.length_mm,
    }


def _frame_record(frames: FrameSet, name: str, frame: Frame) -> dict[str, Any]:
    height, width = frame.image_rgb.shape[:2]
    annotations = []
    for individual, label in frame.items:
        rle = coco_mask.encode(np.asfortranarray(label.mask, dtype=np.uint8))
        annotations.append(
            {
                "category_id": CATEGORIES.index(individual.category) + 1,
                "bbox": [float(side) for side in coco_mask.toBbox(rle)],
                "area": float(coco_mask.area(rle)),
                "iscrowd": 0,
                "segmentation": {"size": [height, width], "counts": rle["counts"].decode("ascii")},
                "visible_fraction": round(label.visible_fraction, 4),
                "truncated": label.truncated,
                "individual": individual.key,
            }
        )
    return {
        "series": _series(frames),
        "image": {
            "file_name": name,
            "width": width,
            "height": height,
            "belt": f"{frame.belt.kind}_{frame.belt.number}",
            "light": frame.light,
            "license": 1,
        },
        "annotations": annotations,
    }


def _series(frames: FrameSet) -> list[Any]:
    """What a finished frame depends on besides its index."""
    return [frames.individuals, frames.seed, list(frames.size_wh), frames.pool_per_category, frames.quality.samples]


def _is_part_of(part: Path, series: list[Any]) -> bool:
    if not part.exists():
        return False
    begun = json.loads(part.read_text()).get("series")
    if begun != series:
        raise SystemExit(f"{part} belongs to another series {begun}: choose an empty --out, or remove that folder")
    return True


def _coco(records: list[dict[str, Any]]) -> dict[str, Any]:
    images, annotations = [], []
    for image_id, record in enumerate(records, start=1):
        images.append({"id": image_id, **record["image"]})
        for annotation in record["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    categories = [{"id": number, "name": name, "supercategory": "waste"} for number, name in enumerate(CATEGORIES, 1)]
    return {
        "info": INFO,
        "licenses": LICENSES,
        "categories": categories,
        "images": images,
        "annotations": annotations,
    }


def _write_png(path: Path, values: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
    picture = Image.fromarray(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    picture.save(temporary, "PNG", optimize=True)
    os.replace(temporary, path)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write(path, (json.dumps(content, indent=None, separators=(",", ":"), sort_keys=True) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
