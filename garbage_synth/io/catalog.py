"""What lies in a crops folder and in a backgrounds folder."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from garbage_synth.core.types import Background, Crop
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_json, write_text
from garbage_synth.io.folders import files_under, require_folder
from garbage_synth.io.images import image_size, list_images

__all__ = [
    "CROPS_FILE",
    "DISTRACTOR",
    "CropEntry",
    "belt_pictures",
    "load_backgrounds",
    "load_crops",
    "load_distractors",
    "read_sidecar",
    "write_crops_json",
    "write_sidecar",
]

CROPS_FILE = "crops.json"
DISTRACTOR = "distractor:"  # ids of distractors begin with it
_MASK_ENDING = "_mask"
_SIDECAR_KEYS = ("belt_mm_per_px", "mm_per_px_at", "polygon_px", "source", "travel_deg")


@dataclass(frozen=True, slots=True)
class CropEntry:
    """What crops.json says of one crop; the file's keys are these names, but "class" for category.

    file: POSIX path of the RGBA PNG relative to the crops folder. source: the photo or dataset picture it was cut from.
    method: how (grabcut, alpha, mask, coco, ...). quality: 0..1. size_px: (width, height).
    length_mm: longer side of the silhouette's minimum-area rectangle, or None where the scale is unknown.
    """

    file: str
    category: str
    source: str
    method: str
    quality: float
    size_px: tuple[int, int]
    length_mm: float | None


def load_crops(folder: Path) -> tuple[Crop, ...]:
    """The crops of `folder`, sorted by id.

    The files `<class>/*.png` decide which crops there are, so that a bad one is removed by deleting it; crops.json,
    where it is there, says what is known of them. `<stem>_mask.png` is never a crop but the silhouette of `<stem>.png`.
    Raises InputError where the folder is missing or holds no crop, or crops.json is not as it should be.
    """
    require_folder(folder, "crops folder")
    known = _read_entries(folder / CROPS_FILE)
    pictures = {
        path.relative_to(folder).as_posix(): path
        for path in files_under(folder)
        if path.suffix.lower() == ".png" and len(path.relative_to(folder).parts) == 2
    }
    crops: dict[str, Crop] = {}
    for file, path in pictures.items():
        if path.stem.endswith(_MASK_ENDING):
            continue
        entry = known.get(file)
        category = entry.category if entry else path.parent.name
        mask_names = (f"{path.parent.name}/{path.stem}{_MASK_ENDING}{ending}" for ending in (".png", ".PNG"))
        crop = Crop(
            id=f"{category}/{path.stem}",
            category=category,
            file=file,
            mask_file=next((name for name in mask_names if name in pictures), None),
            source=entry.source if entry else file,
            size_px=image_size(path),
            length_mm=entry.length_mm if entry else None,
            quality=entry.quality if entry else 1.0,
        )
        if crop.id in crops:
            raise InputError(
                f"crops {crops[crop.id].file} and {file} in {folder} are the same class and name; rename one"
            )
        crops[crop.id] = crop
    if not crops:
        raise InputError(f"crops folder {folder} holds no crop; expected RGBA files {folder}/<class>/*.png")
    return tuple(crops[crop_id] for crop_id in sorted(crops))


def load_distractors(folder: Path) -> tuple[Crop, ...]:
    """The RGBA pictures `**/*.png` of `folder` as crops without a class, sorted by id ("distractor:<path>").

    `*_mask.png` are left out: a distractor hides what lies below it where its alpha is 128 or more. crops.json counts
    as in `load_crops`. Raises InputError where the folder is missing or holds no picture, or two of one name.
    """
    require_folder(folder, "distractors folder")
    known = _read_entries(folder / CROPS_FILE)
    pictures: dict[str, Path] = {}
    for path in files_under(folder):
        if path.suffix.lower() == ".png" and not path.stem.endswith(_MASK_ENDING):
            other = pictures.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
            if other is not path:
                raise InputError(f"distractors {other} and {path} differ only in ending; rename one")
    found = []
    for name, path in sorted(pictures.items()):
        file = path.relative_to(folder).as_posix()
        entry = known.get(file)
        found.append(
            Crop(
                id=DISTRACTOR + name,
                category="",
                file=file,
                mask_file=None,
                source=entry.source if entry else file,
                size_px=image_size(path),
                length_mm=entry.length_mm if entry else None,
                quality=1.0,
            )
        )
    if not found:
        raise InputError(f"distractors folder {folder} holds no picture; expected RGBA files *.png")
    return tuple(found)


def write_crops_json(folder: Path, crops: Sequence[CropEntry]) -> None:
    """Write folder/crops.json, entries sorted by file."""
    entries = [
        {
            "file": crop.file,
            "class": crop.category,
            "source": crop.source,
            "method": crop.method,
            "quality": crop.quality,
            "size_px": list(crop.size_px),
            "length_mm": crop.length_mm,
        }
        for crop in sorted(crops, key=lambda crop: crop.file)
    ]
    write_json(folder / CROPS_FILE, {"version": 1, "crops": entries})


def load_backgrounds(folder: Path) -> tuple[Background, ...]:
    """The empty belt pictures directly in `folder`, sorted by id (the file's stem).

    A sidecar `<stem>.yaml` may give polygon_px (list of [x, y]), belt_mm_per_px or, for a camera that looks aslant,
    mm_per_px_at (list of at least two [x, y, millimetres per pixel there]), travel_deg and source (pictures of one
    camera or place; its stem where not given). Files named `*_mask.*` are left out.
    Raises InputError where the folder is missing or empty, or a sidecar is not as it should be.
    """
    found: dict[str, Background] = {}
    for path in belt_pictures(folder):
        sidecar = read_sidecar(path.with_suffix(".yaml"))
        found[path.stem] = Background(
            id=path.stem,
            file=path.name,
            source=str(sidecar.get("source", path.stem)),
            size_px=image_size(path),
            polygon_px=sidecar.get("polygon_px"),
            belt_mm_per_px=sidecar.get("belt_mm_per_px"),
            travel_deg=sidecar.get("travel_deg"),
            mm_per_px_at=sidecar.get("mm_per_px_at", ()),
        )
    return tuple(found[name] for name in sorted(found))


def belt_pictures(folder: Path) -> list[Path]:
    """The pictures directly in `folder` that count as belts, sorted by name: all but `*_mask.*`.

    Raises InputError where the folder is missing, holds no belt picture, or two of one stem, which would share a
    sidecar.
    """
    require_folder(folder, "backgrounds folder")
    found: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem.endswith(_MASK_ENDING):
            continue
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise InputError(f"backgrounds {other.name} and {path.name} in {folder} differ only in ending")
    if not found:
        raise InputError(f"backgrounds folder {folder} holds only masks, no belt picture")
    return list(found.values())


def read_sidecar(path: Path) -> dict[str, Any]:
    """What the sidecar of a belt picture gives, by key; empty where there is no such file.

    polygon_px is a tuple of (x, y) in pixels of the picture, mm_per_px_at one of (x, y, millimetres per pixel),
    belt_mm_per_px and travel_deg are finite floats; source is as it stands. Raises InputError naming the file where it
    is no YAML, has an unknown key or a value out of range.
    """
    if not path.exists():
        return {}
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{path} must hold keys ({', '.join(_SIDECAR_KEYS)}), not {type(fields).__name__}")
    for key in fields:
        if key not in _SIDECAR_KEYS:
            raise InputError(f"{path} has the unknown key {key!r}; known are {', '.join(_SIDECAR_KEYS)}")
    known = {key: value for key, value in fields.items() if value is not None}
    try:
        if "polygon_px" in known:
            known["polygon_px"] = _polygon(known["polygon_px"])
        for key in ("belt_mm_per_px", "travel_deg"):
            if key in known:
                known[key] = _finite(known[key])
        if known.get("belt_mm_per_px", 1.0) <= 0:
            raise ValueError(f"belt_mm_per_px {known['belt_mm_per_px']} is not positive")
        if "mm_per_px_at" in known:
            known["mm_per_px_at"] = _scales(known["mm_per_px_at"])
            if "belt_mm_per_px" in known:
                raise ValueError("belt_mm_per_px and mm_per_px_at contradict each other; give one of them")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    return known


def write_sidecar(path: Path, fields: Mapping[str, Any]) -> None:
    """Put `fields` (keys and values as `read_sidecar` gives them) at `path` as YAML, sorted by key.

    Raises OSError where the place cannot be written.
    """
    plain = dict(fields)
    for key in ("polygon_px", "mm_per_px_at"):
        if key in plain:
            plain[key] = [[float(value) for value in point] for point in plain[key]]
    write_text(path, yaml.safe_dump(plain, allow_unicode=True, default_flow_style=None, sort_keys=True))


def _read_entries(path: Path) -> dict[str, CropEntry]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != 1:
            raise InputError(f"{path} has version {document['version']!r}, this program reads version 1")
        entries = [_entry(fields) for fields in document["crops"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except KeyError as error:
        raise InputError(f"{path} lacks the key {error}") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is not a crops file: {error}") from error
    return {entry.file: entry for entry in entries}


def _entry(fields: Mapping[str, Any]) -> CropEntry:
    width, height = fields.get("size_px") or (0, 0)
    length_mm = fields.get("length_mm")
    entry = CropEntry(
        file=str(fields["file"]),
        category=str(fields["class"]),
        source=str(fields.get("source") or fields["file"]),
        method=str(fields.get("method", "unknown")),
        quality=float(fields.get("quality", 1.0)),
        size_px=(int(width), int(height)),
        length_mm=None if length_mm is None else float(length_mm),
    )
    if not 0.0 <= entry.quality <= 1.0:
        raise ValueError(f"quality {entry.quality} of {entry.file} is outside 0..1")
    if entry.length_mm is not None and not (math.isfinite(entry.length_mm) and entry.length_mm > 0):
        raise ValueError(f"length_mm {entry.length_mm} of {entry.file} is not a positive number")
    if not entry.category or "/" in entry.category or entry.category.startswith("."):
        raise ValueError(f"class {entry.category!r} of {entry.file} is not a name")
    return entry


def _polygon(points: Any) -> tuple[tuple[float, float], ...]:
    polygon = tuple((_finite(x), _finite(y)) for x, y in points)
    following = polygon[1:] + polygon[:1]
    area = abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, following, strict=True))) / 2
    if len(polygon) < 3 or area < 1:
        raise ValueError(f"polygon_px {points} encloses no area; expected at least three corners [x, y]")
    return polygon


def _scales(points: Any) -> tuple[tuple[float, float, float], ...]:
    expected = f"mm_per_px_at {points} is not a list of at least two places [x, y, millimetres per pixel there]"
    try:
        scales = tuple((_finite(x), _finite(y), _finite(mm)) for x, y, mm in points)
    except (TypeError, ValueError) as error:
        raise ValueError(expected) from error
    if len({(x, y) for x, y, _ in scales}) < 2 or min(mm for _, _, mm in scales) <= 0:
        raise ValueError(expected)
    return scales


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number
