"""The parts of `composite` that run in worker processes: one crop inspected, one picture made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from garbage_synth.composite.annotate import Visible, polygons_of_part, rle_of_part
from garbage_synth.composite.assets import CachedAssets
from garbage_synth.composite.belt import BeltView, fit_belt, with_polygons
from garbage_synth.composite.blend import frame_part
from garbage_synth.composite.cutout import CropFacts, measure
from garbage_synth.composite.render import Layout, lay_out, paint, settle
from garbage_synth.composite.sample import Catalog, sample_scene
from garbage_synth.composite.scene import scene_from_json, scene_to_json
from garbage_synth.composite.warp import Patch
from garbage_synth.config.base import load_config
from garbage_synth.config.composite import CompositeConfig, LabelsConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.core.types import Background, Crop
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_bytes, write_json
from garbage_synth.io.catalog import load_backgrounds, load_crops, load_distractors
from garbage_synth.io.images import encode_jpeg, read_mask, read_rgb, read_rgba
from garbage_synth.io.output import SETTINGS_FILE

__all__ = ["RECORDS", "InspectCrop", "MakePicture", "Unit", "picture_name", "record_path", "render_scene"]

SEEN_ALPHA = 15
RECORDS = ".records"  # one file per finished picture, until all are joined; hidden, so that no reader takes it for data

Unit = tuple[str, int]
"""(split, index from 0) of one picture."""


def picture_name(unit: Unit) -> str:
    """The file name of a picture within its split's folder."""
    return f"{unit[0]}_{unit[1]:06d}.jpg"


def record_path(out: Path, unit: Unit) -> Path:
    """Where the record of a finished picture lies: its image entry, its annotations and its recipe."""
    return out / RECORDS / unit[0] / f"{unit[1]:06d}.json"


@dataclass(frozen=True)
class InspectCrop:
    """Crop -> what is known of it, or None where no pixel belongs to the item. Raises InputError for a bad file."""

    folder: Path
    distractors: Path | None = None

    def __call__(self, crop: Crop) -> tuple[Crop, CropFacts | None]:
        """The crop and its facts."""
        rgba, mask = _read_crop((self.folder, self.distractors), crop)
        # a distractor may be see-through all over: what of it is seen decides where it lies, alpha what it hides
        return crop, measure(crop, rgba, mask if crop.category else rgba[..., 3] > SEEN_ALPHA)


@dataclass
class MakePicture:
    """Unit -> one picture and its record, written below `out`; the pixels of crops and belts are kept between calls.

    The picture is a function of (seed, split, index), the config and the catalogue alone.
    """

    crops_folder: Path
    backgrounds_folder: Path
    out: Path
    config: CompositeConfig
    seed: int
    catalogs: Mapping[str, Catalog]
    category_ids: Mapping[str, int]
    distractors_folder: Path | None = None
    _assets: dict[str, CachedAssets] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_assets": {}}

    def __call__(self, unit: Unit) -> Unit:
        """Make the picture of a unit; the unit itself comes back."""
        split, index = unit
        assets = self._assets_of(split)
        rng = rng_for(self.seed, "composite", split, index)
        spec = sample_scene(self.config, self.catalogs[split], rng, index=index)
        layout = settle(lay_out(spec, assets), self.config.labels)
        image = paint(layout, assets)
        write_bytes(self.out / "images" / split / picture_name(unit), encode_jpeg(image, spec.camera.jpeg_quality))
        # The record comes last: where it is, the picture is whole.
        write_json(record_path(self.out, unit), self._record(unit, layout, assets), compact=True)
        return unit

    def _assets_of(self, split: str) -> CachedAssets:
        if split not in self._assets:
            catalog = self.catalogs[split]
            self._assets[split] = _assets(
                (self.crops_folder, self.distractors_folder),
                self.backgrounds_folder,
                {facts.crop.id: facts for own in (*catalog.crops.values(), catalog.distractors) for facts in own},
                catalog.belts,
            )
        return self._assets[split]

    def _record(self, unit: Unit, layout: Layout, assets: CachedAssets) -> dict[str, Any]:
        size_wh = width, height = layout.spec.size_wh
        annotations = []
        items = zip(layout.spec.placements, layout.patches, layout.visible, strict=True)
        for z, (placement, patch, visible) in enumerate(items):
            if not placement.labelled:
                continue
            x0, y0, x1, y1 = visible.box_xyxy
            annotations.append(
                {
                    "category_id": self.category_ids[assets.facts(placement.crop_id).crop.category],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": visible.area_px,
                    "segmentation": _segmentation(visible, size_wh, self.config.labels),
                    "extra": {
                        **_amodal(visible, patch, size_wh, self.config.labels),
                        "crop_id": placement.crop_id,
                        "pose": {
                            "angle_deg": placement.angle_deg,
                            "center_px": placement.center_xy_px,
                            "flipped": placement.flipped,
                            "scale": placement.scale,
                        },
                        "truncated": visible.truncated,
                        "visible_fraction": round(visible.fraction, 4),
                        "z": z,
                    },
                }
            )
        image = {"id": unit[1] + 1, "file_name": picture_name(unit), "width": width, "height": height}
        return {"image": image, "annotations": annotations, "scene": scene_to_json(layout.spec)}


def _segmentation(visible: Visible, size_wh: tuple[int, int], labels: LabelsConfig) -> Any:
    x0, y0 = visible.box_xyxy[:2]
    polygons = polygons_of_part(visible.part, x0, y0) if labels.segmentation == "polygon" else None
    return polygons or rle_of_part(visible.part, x0, y0, size_wh)


def _amodal(visible: Visible, patch: Patch, size_wh: tuple[int, int], labels: LabelsConfig) -> dict[str, Any]:
    """The fields that tell of the whole silhouette, hidden parts included."""
    if labels.amodal == "none":
        return {}
    x0, y0, x1, y1 = visible.whole_xyxy
    fields: dict[str, Any] = {"amodal_bbox": [x0, y0, x1 - x0, y1 - y0]}
    place = frame_part(patch.x0, patch.y0, patch.silhouette.shape, size_wh[::-1])
    if labels.amodal == "mask" and place is not None:
        (rows, columns), inside = place
        fields["amodal_segmentation"] = rle_of_part(patch.silhouette[inside], columns.start, rows.start, size_wh)
    return fields


def render_scene(
    scenes: Path, file_name: str, *, crops: Path, backgrounds: Path, distractors: Path | None = None
) -> bytes:
    """The JPEG bytes of one picture, made again from its line in scenes.jsonl and the folders it was made from.

    Polygons of belts that the settings add are read from the config.yaml beside scenes.jsonl, where there is one.
    Raises InputError where the file, the line, a crop or the belt is missing.
    """
    try:
        lines = (json.loads(line) for line in scenes.read_text(encoding="utf-8").splitlines())
        spec = next((scene_from_json(line["scene"]) for line in lines if line["file_name"] == file_name), None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{scenes} is not the scenes.jsonl of a dataset: {error}") from error
    if spec is None:
        raise InputError(f"{scenes} has no picture {file_name}")
    settings = scenes.with_name(SETTINGS_FILE)
    config = load_config(CompositeConfig, settings if settings.is_file() else None)
    belts = {belt.id: belt for belt in with_polygons(load_backgrounds(backgrounds), config.belt.polygons_px)}
    own = (*load_crops(crops), *(() if distractors is None else load_distractors(distractors)))
    known = {crop.id: crop for crop in own}
    wanted = {placement.crop_id for placement in spec.placements}
    missing = sorted(wanted - known.keys()) + sorted({spec.background_id} - belts.keys())
    if missing:
        folders = ", ".join(str(folder) for folder in (crops, backgrounds, distractors) if folder is not None)
        raise InputError(f"{file_name} was made with {missing[0]}, which is not in {folders}")
    inspect = InspectCrop(crops, distractors)
    inspected = (inspect(known[crop_id])[1] for crop_id in sorted(wanted))
    facts = {found.crop.id: found for found in inspected if found is not None}
    assets = _assets((crops, distractors), backgrounds, facts, (fit_belt(belts[spec.background_id], spec.size_wh),))
    return encode_jpeg(paint(lay_out(spec, assets), assets), spec.camera.jpeg_quality)


def _assets(
    crops: tuple[Path, Path | None], backgrounds: Path, facts: Mapping[str, CropFacts], views: tuple[BeltView, ...]
) -> CachedAssets:
    by_id = {view.background.id: view for view in views}
    return CachedAssets(facts, by_id, partial(_read_crop, crops), partial(_read_photo, backgrounds))


def _read_crop(folders: tuple[Path, Path | None], crop: Crop) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """The pixels of a crop. folders: (of the crops, of the distractors)."""
    folder = folders[0] if crop.category else folders[1]
    assert folder is not None  # a distractor came from its folder
    rgba = read_rgba(folder / crop.file)
    size_wh = (rgba.shape[1], rgba.shape[0])
    return rgba, None if crop.mask_file is None else read_mask(folder / crop.mask_file, size_wh)


def _read_photo(folder: Path, background: Background) -> NDArray[np.uint8]:
    return read_rgb(folder / background.file)
