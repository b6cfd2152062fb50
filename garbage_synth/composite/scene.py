"""The recipe of one picture: ids and numbers alone, about a kilobyte of JSON, from which it can be rendered again."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Camera", "Light", "Look", "Placement", "SceneSpec", "scene_from_json", "scene_to_json"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One item on the belt.

    center_xy_px: where the middle of the crop's picture comes to lie, frame pixels. scale: frame pixels per crop pixel.
    The crop is mirrored left to right (flipped), shortened to `squash` along the direction squash_deg of its own
    picture, and turned by angle_deg clockwise as seen. height_px: how high it stands, for its shadow.
    exposure: factor on its brightness. feather_px: sigma of its soft edge. labelled: False for an item that is hidden
    and stays in the picture without an annotation.
    """

    crop_id: str
    center_xy_px: tuple[float, float]
    scale: float
    angle_deg: float
    flipped: bool
    squash: float
    squash_deg: float
    height_px: float
    exposure: float
    feather_px: float
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class Light:
    """The one light of a scene. shadow_deg: direction shadows fall to (0 = +x, 90 = +y); strengths 0..1;
    softness: sigma of the cast shadow as a fraction of an item's height."""

    shadow_deg: float
    elevation_deg: float
    softness: float
    cast_strength: float
    contact_strength: float


@dataclass(frozen=True, slots=True)
class Look:
    """How far items take on the belt's light, each 0..1 (see LightConfig)."""

    match_lightness: float
    match_colour: float
    follow_field: float


@dataclass(frozen=True, slots=True)
class Camera:
    """What the camera does to the whole picture. gain_rgb: factor per channel. noise: sigma in 8-bit steps;
    noise_xy: which part of the noise is seen. motion_px, defocus_px: 0 = none. jpeg_quality: 1..100."""

    gain_rgb: tuple[float, float, float]
    noise: float
    noise_xy: tuple[int, int]
    motion_px: float
    motion_deg: float
    defocus_px: float
    jpeg_quality: int


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """Everything that decides a picture, beside the crops and the belt themselves.

    placements: from the lowest to the highest item; an item's place in it is its z. not_placed: items that found no
    room. removed: items that left the picture because too little of them was seen.
    """

    size_wh: tuple[int, int]
    background_id: str
    light: Light
    look: Look
    camera: Camera
    placements: tuple[Placement, ...]
    not_placed: int = 0
    removed: int = 0


def scene_to_json(spec: SceneSpec) -> dict[str, Any]:
    """The recipe as plain JSON types; `scene_from_json` gives back an equal one."""
    # dataclasses.asdict copies every number on the way: ten times slower, and as dear as a JPEG
    return {
        **_shallow(spec),
        "light": _shallow(spec.light),
        "look": _shallow(spec.look),
        "camera": _shallow(spec.camera),
        "placements": [_shallow(placement) for placement in spec.placements],
    }


def scene_from_json(document: Mapping[str, Any]) -> SceneSpec:
    """The recipe from its JSON. Raises KeyError or TypeError where it is none."""
    light, look, camera = document["light"], document["look"], document["camera"]
    return SceneSpec(
        size_wh=(document["size_wh"][0], document["size_wh"][1]),
        background_id=document["background_id"],
        light=Light(**light),
        look=Look(**look),
        camera=Camera(**{**camera, "gain_rgb": tuple(camera["gain_rgb"]), "noise_xy": tuple(camera["noise_xy"])}),
        placements=tuple(
            Placement(**{**placement, "center_xy_px": tuple(placement["center_xy_px"])})
            for placement in document["placements"]
        ),
        not_placed=document["not_placed"],
        removed=document["removed"],
    )


def _shallow(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
