"""Settings of the segment stage."""

from typing import Annotated

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["SegmentConfig"]

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class SegmentConfig(StageConfig):
    """How items are cut out of photos and which cut-outs are kept."""

    working_side_px: int = Field(
        default=512, ge=128, le=2048, description="Long side at which the outline is sought; edges are full size."
    )
    padding_px: int = Field(default=2, ge=0, le=64, description="Transparent rim around each crop, pixels.")
    frame_margin_px: int = Field(
        default=2, ge=0, le=64, description="An item nearer to the frame than this is taken to be cut by it, pixels."
    )
    min_side_px: int = Field(default=24, ge=1, le=4096, description="Smallest side of an item's box, pixels.")
    min_area_fraction: float = Field(
        default=0.003, ge=0.0, le=1.0, description="Smallest part of a single-item photo that the item covers, 0..1."
    )
    rival_fraction: float = Field(
        default=0.3, gt=0.0, le=1.0, description="A second part as large as this share of the first is another item."
    )
    min_contrast: float = Field(
        default=6.0, ge=0.0, le=255.0, description="Least mean step along the outline, levels of 255."
    )
    mm_per_px: Positive | None = Field(
        default=None, description="Millimetres per pixel of the photos, where they all have one scale: gives length_mm."
    )
