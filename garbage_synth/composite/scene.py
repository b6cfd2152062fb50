"""The recipe of one picture: ids and numbers alone, about a kilobyte of JSON, from which it can be rendered again."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from garbage_synth.config.composite import BlendMode

__all__ = ["Camera", "Deform", "Light", "Look", "Placement", "SceneSpec", "scene_from_json", "scene_to_json"]


@dataclass(frozen=True, slots=True)
class Deform:
    """How a crop is bent out of shape, in its own picture, before it is shortened, turned and scaled.

    Lengths are in halves of the crop's longer side, positions from its middle; directions 0 = +x, 90 = +y.
    crush: part that is lost in the middle of a zone across the direction crush_deg at crush_at. bend_deg: angle between
    the two ends along bend_axis_deg. dents: (x, y, dx, dy, sigma), a place of the outline, the way that it is pushed,
    and how far around. ripples: (direction in degrees, waves per half, phase in radians, amplitude). tilt_deg: out of
    the photo's plane about the axis tilt_axis_deg, seen in perspective.
    """

    tilt_deg: float = 0.0
    tilt_axis_deg: float = 0.0
    bend_deg: float = 0.0
    bend_axis_deg: float = 0.0
    crush: float = 0.0
    crush_deg: float = 0.0
    crush_at: float = 0.0
    dents: tuple[tuple[float, float, float, float, float], ...] = ()
    ripples: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """One item on the belt.

    center_xy_px: where the middle of the crop's picture comes to lie, frame pixels. scale: frame pixels per crop pixel.
    The crop is bent out of shape (deform, None = rigid), mirrored left to right (flipped), shortened to `squash` along
    the direction squash_deg of its own picture, and turned by angle_deg clockwise as seen. height_px: how high it
    stands, for its shadow. exposure: factor on its brightness; hue_deg: turn of its colours. blend, feather_px: how its
    edge is drawn, and the sigma of a soft one. labelled: False for an item that is hidden and stays in the picture
    without an annotation, and for distractors.
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
    blend: BlendMode = "feather"
    deform: Deform | None = None
    labelled: bool = True
    hue_deg: float = 0.0


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
    specular_fade: float = 0.0


@dataclass(frozen=True, slots=True)
class Camera:
    """What the camera does to the whole picture. gain_rgb: factor per channel. noise: sigma in 8-bit steps;
    noise_xy: which part of the noise is seen. motion_px, defocus_px: 0 = none. jpeg_quality: 1..100.
    vignette: part of the light that the corners lose."""

    gain_rgb: tuple[float, float, float]
    noise: float
    noise_xy: tuple[int, int]
    motion_px: float
    motion_deg: float
    defocus_px: float
    jpeg_quality: int
    vignette: float = 0.0


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
        "placements": [
            {**_shallow(placement), "deform": None if placement.deform is None else _shallow(placement.deform)}
            for placement in spec.placements
        ],
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
        placements=tuple(_placement(placement) for placement in document["placements"]),
        not_placed=document["not_placed"],
        removed=document["removed"],
    )


def _placement(document: Mapping[str, Any]) -> Placement:
    bent = document.get("deform")
    deform = None
    if bent is not None:
        tuples = {key: tuple(map(tuple, bent[key])) for key in ("dents", "ripples")}
        deform = Deform(**{**bent, **tuples})
    return Placement(**{**document, "center_xy_px": tuple(document["center_xy_px"]), "deform": deform})


def _shallow(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
