"""Settings of train-detector beyond its flags."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from garbage_synth.config.base import StageConfig, ordered

__all__ = ["AugmentConfig", "DetectorConfig"]


Zoom = Annotated[float, Field(ge=0.05, le=20)]
ZoomRange = Annotated[tuple[Zoom, Zoom], AfterValidator(ordered)]


class AugmentConfig(StageConfig):
    """How training pictures are varied. Ranges are drawn from uniformly; 0 or an empty range switches a part off."""

    mosaic: float = Field(0.25, ge=0, le=1, description="share of samples that show four pictures side by side")
    scale: ZoomRange = Field((0.75, 1.35), description="smallest and largest zoom")
    flip_horizontal: float = Field(0.5, ge=0, le=1, description="share of samples mirrored left to right")
    flip_vertical: float = Field(
        0.5, ge=0, le=1, description="share of samples mirrored top to bottom; right for cameras that look down"
    )
    brightness: float = Field(0.3, ge=0, lt=1, description="brightness is multiplied by 1 +- this at most")
    contrast: float = Field(0.3, ge=0, lt=1, description="contrast is multiplied by 1 +- this at most")
    saturation: float = Field(0.3, ge=0, lt=1, description="saturation is multiplied by 1 +- this at most")
    hue: float = Field(0.02, ge=0, le=0.5, description="hue is turned by this at most, 0.5 = half the circle")
    min_visible: float = Field(
        0.3, ge=0, lt=1, description="an item of which less than this share of its box is in the sample is no target"
    )


class DetectorConfig(StageConfig):
    """How the yardstick detector is trained and asked."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"cache_gb", "checkpoint_every", "loader_workers", "log_every", "threads"}
    )

    image_px: int = Field(320, ge=64, le=4096, description="longer side of pictures in training and detection, pixels")
    batch: int = Field(16, ge=1, le=1024, description="pictures per iteration")
    learning_rate: float = Field(1e-3, gt=0, lt=1, description="highest learning rate of AdamW")
    weight_decay: float = Field(0.05, ge=0, lt=1, description="weight decay of AdamW")
    warmup_fraction: float = Field(
        0.05, ge=0, lt=1, description="share of the iterations in which the rate rises; then it falls as a cosine"
    )
    clip_norm: float = Field(10.0, gt=0, description="gradients are scaled down to this norm at most")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="decay of the moving average of the weights that is kept")
    augment: AugmentConfig = AugmentConfig()
    score_min: float = Field(0.02, ge=0, lt=1, description="detections of a lower score are left out")
    nms_iou: float = Field(0.6, gt=0, le=1, description="of two boxes of one class with more overlap, one is kept")
    detections_per_picture: int = Field(100, ge=1, le=10000, description="most detections in a picture")
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads that compute; null = one per core; 1 is often faster on few cores"
    )
    loader_workers: int | None = Field(
        None,
        ge=0,
        le=256,
        description="processes that prepare samples; null = none on a CPU, on a GPU one a core but for two, 16 at most",
    )
    cache_gb: float = Field(2.0, ge=0, description="memory for pictures read and scaled once, GB; the rest are reread")
    log_every: int = Field(20, ge=1, description="iterations between lines of numbers in stats.jsonl")
    checkpoint_every: int = Field(200, ge=1, description="iterations between checkpoints, written where numbers are")
