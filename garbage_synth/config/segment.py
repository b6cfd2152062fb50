"""Settings of segment beyond its flags."""

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["SegmentConfig"]


class SegmentConfig(StageConfig):
    """How items are cut out, which cut-outs are refused, and what is known of their size."""

    max_photo_px: int = Field(
        2048, ge=128, le=20000, description="photos with a longer side than this are reduced to it first, pixels"
    )
    work_px: int = Field(
        512,
        ge=128,
        le=2048,
        description="longer side at which the outline is searched, pixels; edges follow at full size",
    )

    min_side_px: int = Field(24, ge=4, description="a cut-out whose shorter side is smaller is too small, pixels")
    min_area_fraction: float = Field(
        0.002, ge=0, lt=1, description="an item that covers less of its photo is too small (not for coco, alpha)"
    )
    min_outline: float = Field(
        0.4,
        ge=0,
        le=1,
        description="share of the outline that must stand out from the board's own grain; below it the contrast is low",
    )
    max_missing: float = Field(
        1.3, ge=1, description="an item is taken for a part where edges beside it span more than so many times its area"
    )
    min_box_agreement: float = Field(
        0.6, ge=0, le=1, description="intersection over union that the item's extent must have with its given box"
    )
    max_second_item: float = Field(
        0.3, gt=0, le=1, description="a second thing larger than this part of the first means several items"
    )
    max_touching: float = Field(
        0.25,
        ge=0,
        le=1,
        description="coco: an item whose outline touches other items along more than this share is left out as covered",
    )
    min_visible_fraction: float = Field(
        0.95, ge=0, le=1, description="coco: instances with a smaller visible_fraction, where given, are left out"
    )
    snap_coco: bool = Field(True, description="coco: move the labelled outline onto the item's own edge nearby")

    mm_per_px: float | None = Field(
        None, gt=0, description="millimetres per pixel of the photos as they are; gives the crops their length_mm"
    )
    class_length_mm: dict[str, float] = Field(
        default={}, description="length of an item's longer side per class in millimetres, where mm_per_px is not known"
    )

    rembg_model: str = Field("u2netp", min_length=1, description="rembg: name of the network")
