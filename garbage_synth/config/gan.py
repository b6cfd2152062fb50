"""Settings of train-gan beyond its flags. The defaults are the recipe of the CycleGAN paper (arXiv 1703.10593)."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["GanConfig"]


class GanConfig(StageConfig):
    """How the two generators and the two discriminators are built, trained, watched and saved."""

    base_channels: int = Field(
        64, ge=1, le=512, description="channels of a generator at full resolution; the paper: 64"
    )
    discriminator_channels: int = Field(
        64, ge=1, le=512, description="channels of a discriminator's first layer; the paper: 64"
    )
    init_std: float = Field(
        0.02, gt=0, le=1, description="standard deviation of the initial weights; biases begin at 0"
    )

    lambda_cycle: float = Field(10.0, ge=0, description="weight of |F(G(x)) - x| against the adversarial loss")
    identity_ratio: float = Field(
        0.5, ge=0, description="weight of |G(y) - y| as a multiple of lambda_cycle; keeps colours; 0 switches it off"
    )
    pool_size: int = Field(50, ge=0, description="translated pictures remembered for each discriminator; 0 = none")
    flip: bool = Field(True, description="mirror half of the crops left to right")

    learning_rate: float = Field(2e-4, gt=0, lt=1, description="Adam's step size while constant")
    adam_beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay of the mean")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Adam's decay of the squares")
    constant_fraction: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of all steps at the full learning rate; it then falls to 0 in a straight line",
    )
    ema_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay per step of the averaged generators, lower in the first steps; 0 = not kept",
    )

    log_every_steps: int = Field(20, ge=1, description="steps whose mean is one line of stats.jsonl")
    sample_every_steps: int = Field(500, ge=1, description="steps between two pictures in samples/")
    sample_count: int = Field(4, ge=1, le=32, description="crops of each domain in a sample picture")
    checkpoint_every_steps: int = Field(
        1000, ge=1, description="steps after which a checkpoint is written at the latest"
    )
    checkpoint_every_minutes: float = Field(
        10.0, gt=0, description="minutes after which a checkpoint is written at the latest"
    )

    evaluate_every_steps: int = Field(
        1000,
        ge=0,
        description="steps between two looks at fixed pictures, which choose the best generator; also after the last "
        "step; 0 = never",
    )
    evaluate_pictures: int = Field(64, ge=2, le=4096, description="crops of each domain that are compared then")
    evaluate_frames: int = Field(
        8,
        ge=0,
        le=512,
        description="labelled synthetic pictures, cut to 512 pixels a side, whose labels are checked then",
    )
    inception: Path | None = Field(
        None,
        description="TorchScript file of a network uint8 (n, 3, h, w) -> features (n, d) for FID and KID besides; they "
        "choose nothing (extra: metrics)",
    )
    best_min_hold: float = Field(
        0.95,
        ge=0,
        le=1,
        description="share of labels that the best generator must keep; among those that do, the nearest to real wins",
    )
    abort_below_correlation: float | None = Field(
        0.0,
        ge=-1,
        lt=1,
        description="the training ends where pictures and their translations correlate less in two lines of "
        "stats.jsonl in a row, as inverted ones do; null = never",
    )
    abort_after_steps: int = Field(500, ge=0, description="steps before that is looked at")

    tensorboard: bool = Field(
        False, description="write numbers and samples for TensorBoard too, below tensorboard/ (extra: tensorboard)"
    )

    cache_gb: float = Field(
        2.0, ge=0, description="memory for decoded pictures; those beyond it are decoded each time, GB"
    )
    decode_threads: int = Field(2, ge=1, le=64, description="threads that prepare crops ahead of the training step")
    accelerate: Literal["auto", "none", "graph", "compile"] = Field(
        "auto",
        description=(
            "how steps are started: graph = recorded once, for a CUDA device; compile = fused by torch.compile too, "
            "which takes minutes before the first step and a C++ compiler; auto = graph on one GPU, none elsewhere"
        ),
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads that compute; null = one per core; 1 is best for small networks"
    )
