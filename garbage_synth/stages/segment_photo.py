"""The parts of `segment` that run in worker processes: one picture checked, one picture cut out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.core.masks import mask_of_segmentation
from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes, write_json
from garbage_synth.io.catalog import CropEntry
from garbage_synth.io.images import encode_png, image_size, read_mask, read_rgb, read_rgba
from garbage_synth.io.resize import resize_rgb
from garbage_synth.segment.backend import Photo, Rejection
from garbage_synth.segment.finish import finish
from garbage_synth.segment.methods import auto_method, backend

__all__ = ["RECORDS", "CheckUnit", "CutUnit", "Label", "Unit", "record_path"]

RECORDS = ".records"  # one file per finished picture, until all are joined; hidden, so that no reader takes it for data


@dataclass(frozen=True, slots=True)
class Label:
    """One labelled instance of a picture: what it is called, where its crop goes, and its COCO entry."""

    category: str
    crop: str
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class Unit:
    """One picture to cut out.

    index: its number in the run. source: POSIX path relative to the input folder. crop: that of the crop, relative to
    the output. mask: the silhouette's file. box_xyxy: the item's extent in pixels. labels: instances of a COCO picture,
    which take the place of category and crop.
    """

    index: int
    source: str
    path: Path
    category: str = ""
    crop: str = ""
    mask: Path | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    labels: tuple[Label, ...] = field(default=())


def record_path(out: Path, unit: Unit) -> Path:
    """Where the record of a finished picture lies: its crops and its rejections."""
    return out / RECORDS / f"{unit.index:07d}.json"


@dataclass(frozen=True)
class CheckUnit:
    """Unit -> nothing. Raises InputError naming the file where a picture, its mask, box or method cannot be used."""

    method: str

    def __call__(self, unit: Unit) -> None:
        """Decode everything once, so that nothing is written where something is damaged."""
        if self.method == "alpha":
            read_rgba(unit.path)
        else:
            read_rgb(unit.path)
        size_wh = image_size(unit.path)
        if unit.mask is not None:
            read_mask(unit.mask, size_wh)
        elif self.method == "mask":
            raise InputError(f"method mask: {unit.path} has no mask {unit.path.stem}_mask.png beside it")
        if unit.box_xyxy is not None:
            x0, y0, x1, y1 = unit.box_xyxy
            if not (-1 <= x0 < x1 <= size_wh[0] + 1 and -1 <= y0 < y1 <= size_wh[1] + 1):
                raise InputError(
                    f"box {list(unit.box_xyxy)} of {unit.source} is not x0 < x1, y0 < y1 within its "
                    f"{size_wh[0]}x{size_wh[1]} pixels"
                )
        for label in unit.labels:
            if label.annotation.segmentation is not None and not label.annotation.iscrowd:
                _label_mask(label, unit, (size_wh[1], size_wh[0]))


@dataclass(frozen=True)
class CutUnit:
    """Unit -> its crops and its record, written below `out`. A function of the picture and the config alone."""

    out: Path
    method: str
    config: SegmentConfig

    def __call__(self, unit: Unit) -> Unit:
        """Cut out one picture; the unit itself comes back."""
        crops: list[dict[str, Any]] = []
        rejected: list[dict[str, Any]] = []
        if self.method == "coco":
            self._cut_labels(unit, crops, rejected)
        else:
            photo, scale = _load(unit, self.config.max_photo_px)
            method = auto_method(photo) if self.method == "auto" else self.method
            if method != "alpha":
                photo = Photo(photo.image_rgb, None, photo.mask, None, photo.box_xyxy)
            self._cut(photo, method, scale, (unit.source, unit.category, unit.crop), crops, rejected)
        # The record comes last: where it is, the crops are whole.
        write_json(record_path(self.out, unit), {"crops": crops, "rejected": rejected}, compact=True)
        return unit

    def _cut_labels(self, unit: Unit, crops: list[dict[str, Any]], rejected: list[dict[str, Any]]) -> None:
        image_rgb = read_rgb(unit.path)
        size_hw = image_rgb.shape[0], image_rgb.shape[1]
        masks = {label.crop: _label_mask(label, unit, size_hw) for label in unit.labels}
        for label in unit.labels:
            name = (unit.source, label.category, label.crop)
            refusal = _refusal(label.annotation, self.config)
            if refusal is not None:
                rejected.append(_rejected(name, refusal))
                continue
            others = np.zeros(size_hw, np.bool_)
            for crop, mask in masks.items():
                if crop != label.crop and mask is not None:
                    others |= mask
            mask = masks[label.crop]
            if mask is not None:
                others &= ~mask
            self._cut(Photo(image_rgb, None, mask, others), "coco", 1.0, name, crops, rejected)

    def _cut(
        self,
        photo: Photo,
        method: str,
        scale: float,
        name: tuple[str, str, str],
        crops: list[dict[str, Any]],
        rejected: list[dict[str, Any]],
    ) -> None:
        found = backend(method, self.config)(photo)
        if isinstance(found, Rejection):
            rejected.append(_rejected(name, found))
            return
        source, category, file = name
        cut = finish(photo, found)
        length_mm = self.config.class_length_mm.get(category)
        if self.config.mm_per_px is not None:
            length_mm = round(cut.length_px * self.config.mm_per_px / scale, 1)
        entry = CropEntry(
            file=file,
            category=category,
            source=source,
            method=method,
            quality=cut.quality,
            size_px=(cut.rgba.shape[1], cut.rgba.shape[0]),
            length_mm=length_mm,
        )
        if cut.silhouette is not None:
            silhouette = cut.silhouette.astype(np.uint8) * np.uint8(255)
            write_bytes(self.out / f"{file.removesuffix('.png')}_mask.png", encode_png(silhouette))
        write_bytes(self.out / file, encode_png(cut.rgba))
        crops.append(asdict(entry))


def _load(unit: Unit, most_px: int) -> tuple[Photo, float]:
    """The photo, reduced where it is larger than needed, and its pixels per pixel of the file."""
    rgba = read_rgba(unit.path)
    alpha: NDArray[np.uint8] | None = rgba[..., 3] if (rgba[..., 3] < 255).any() else None
    # JPEGs have no alpha; they are decoded by OpenCV, as everywhere else.
    image_rgb = np.ascontiguousarray(rgba[..., :3]) if alpha is not None else read_rgb(unit.path)
    mask = None if unit.mask is None else read_mask(unit.mask, (image_rgb.shape[1], image_rgb.shape[0]))
    box = unit.box_xyxy
    scale = min(1.0, most_px / max(image_rgb.shape[:2]))
    if scale < 1:
        size_wh = max(1, round(image_rgb.shape[1] * scale)), max(1, round(image_rgb.shape[0] * scale))
        image_rgb = resize_rgb(image_rgb, size_wh)
        alpha = None if alpha is None else _resized(alpha, size_wh)
        mask = None if mask is None else _resized(mask.astype(np.uint8) * np.uint8(255), size_wh) > 127
        box = None if box is None else (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    return Photo(image_rgb, alpha, mask, None, box), scale


def _resized(gray: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    return resize_rgb(np.dstack([gray, gray, gray]), size_wh)[..., 0]


def _label_mask(label: Label, unit: Unit, size_hw: tuple[int, int]) -> NDArray[np.bool_] | None:
    if label.annotation.segmentation is None:
        return None
    try:
        return mask_of_segmentation(label.annotation.segmentation, size_hw)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{unit.source}: annotation {label.annotation.id}: {error}") from error


def _refusal(annotation: Annotation, config: SegmentConfig) -> Rejection | None:
    if annotation.iscrowd:
        return Rejection("crowd", "iscrowd is 1")
    visible = annotation.extra.get("visible_fraction")
    if isinstance(visible, int | float) and visible < config.min_visible_fraction:
        return Rejection("covered", f"visible_fraction is {visible:g}, at least {config.min_visible_fraction:g} needed")
    return None


def _rejected(name: tuple[str, str, str], rejection: Rejection) -> dict[str, Any]:
    source, category, file = name
    return {
        "source": source,
        "class": category,
        "crop": file,
        "reason": rejection.reason,
        "detail": rejection.detail,
    }


def entry_of(record: Mapping[str, Any]) -> CropEntry:
    """The entry that a record holds."""
    return CropEntry(**{**record, "size_px": (int(record["size_px"][0]), int(record["size_px"][1]))})
