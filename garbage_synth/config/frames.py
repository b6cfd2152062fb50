"""Settings of `frames`."""

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["FramesConfig"]


class FramesConfig(StageConfig):
    """How pictures are chosen from a line video and how the empty belt is found."""

    min_change: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="A picture is kept where this share of its area differs from every one kept before; 0 = all.",
    )
    change_levels: int = Field(
        default=12,
        ge=1,
        le=255,
        description="Gray levels (of 255) by which a place must differ to count, after a change of the whole light.",
    )
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="Quality of the JPEG files.")
    plate_frames: int = Field(
        default=99,
        ge=3,
        le=999,
        description="Most pictures that the median is taken of, spread evenly over the source.",
    )
    plate_memory_mb: int = Field(
        default=512, ge=16, description="Megabytes that these pictures may take; fewer are used where they are large."
    )
