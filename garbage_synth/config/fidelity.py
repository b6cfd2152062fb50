"""Settings of the label check: when a label of a rewritten picture still holds."""

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["FidelityConfig", "InventedConfig"]


class InventedConfig(StageConfig):
    """What counts as a thing that the generator has invented. Such regions are listed, never changed."""

    margin_px: int = Field(24, ge=0, le=1000, description="distance to every item, pixels: their shadows are no news")
    min_score: float = Field(
        5.0, gt=0, allow_inf_nan=False, description="new structure that is listed, in spreads of the frame's own"
    )
    min_area_px: int = Field(120, ge=1, description="smallest region that is listed, pixels")
    max_count: int = Field(5, ge=0, le=1000, description="regions that are listed for a picture, highest score first")


class FidelityConfig(StageConfig):
    """How labels are compared with a rewritten picture. Lengths are in pixels of the picture."""

    contrast_sigma_px: float = Field(12.0, ge=1, le=200, description="sigma of the local contrast that flow is run on")
    flow_error_px: float = Field(
        1.5, gt=0, le=100, description="forward-backward error up to which a pixel's motion is believed"
    )
    band_px: int = Field(4, ge=1, le=100, description="width outside an item's mask that belongs to its silhouette")
    window_sigma_px: float = Field(4.0, ge=1, le=100, description="sigma of the window in which pictures are compared")
    signal_to_noise: float = Field(
        8.0, gt=0, allow_inf_nan=False, description="an item's local variance over the belt's from which it counts half"
    )
    min_likeness: float = Field(
        0.35, ge=0, le=1, description="likeness (correlation of item and rewritten picture) below which it is gone"
    )
    min_contrast: float = Field(
        0.2, ge=0, le=1, description="part of an item's contrast below which likeness fades: slow light has shape too"
    )
    present_likeness: float = Field(
        0.55, ge=0, le=1, description="part of an item's best likeness from which a place of it is still drawn"
    )
    present_sigma_px: float = Field(3.0, gt=0, le=100, description="sigma that smooths what is drawn and what is not")
    min_drawn: float = Field(0.45, ge=0, le=1, description="part of an item's mask below which it is dropped")
    whole_drawn: float = Field(0.85, ge=0, le=1, description="part from which an item counts as drawn whole")
    min_piece: float = Field(
        0.15, ge=0, le=1, description="smallest piece of what is drawn that is kept, as a part of it"
    )
    max_shift_px: float = Field(40.0, gt=0, le=10000, description="largest motion of an item that is believed")
    max_scaling: float = Field(1.3, ge=1, le=10, description="largest growth or shrinkage of an item that is believed")
    similarity_from_px: int = Field(
        400, ge=4, description="area of silhouette from which turn and scale are measured too, not the shift alone"
    )
    unchanged_iou: float = Field(
        0.95, ge=0, le=1, description="IoU of the measured box with the label's from which the label stays as it is"
    )
    reject_above: float = Field(
        0.3, ge=0, le=1, description="part of a picture's items that may be dropped before the picture is rejected"
    )
    invented: InventedConfig = InventedConfig()
