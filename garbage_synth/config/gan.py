"""Settings of train-gan beyond its flags: the CycleGAN paper's (arXiv 1703.10593), and what keeps labels true."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from garbage_synth.config.base import StageConfig

__all__ = ["GanConfig", "GanPreset", "LabelConfig"]

GanPreset = Literal["labels", "paper"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "labels": {},
    # the CycleGAN as published
    "paper": {
        "labels": {
            "cycle_item": 0.0,
            "cycle_edge": 0.0,
            "structure": 0.0,
            "new_edges": 0.0,
            "segmenter": 0.0,
            "flip": 0.0,
            "match_occupancy": False,
        }
    },
}


class LabelConfig(StageConfig):
    """What keeps the items of a translated picture where their labels are. A weight of 0 switches its term off.

    All but flip and match_occupancy need masks of the synthetic pictures, and are off without.
    """

    cycle_item: float = Field(
        1.0, ge=0, description="how much more an item's pixel counts in the synthetic cycle loss than one of the belt"
    )
    cycle_edge: float = Field(2.0, ge=0, description="how much more, on top of it, a pixel of an item's outline counts")
    edge_px: int = Field(4, ge=1, le=32, description="half width of the band along outlines, pixels")
    ring_px: int = Field(
        24, ge=0, le=256, description="width of the ring around items in which shadows may come and go, pixels"
    )
    structure: float = Field(
        2.0,
        ge=0,
        description="weight of 1 - local correlation of G(x) with x: outlines stay, light and colour are free",
    )
    new_edges: float = Field(2.0, ge=0, description="weight of edges in G(x) on the empty belt that x has not")
    new_edge_tau: float = Field(
        0.1, ge=0, le=2, description="how much stronger than in x an edge may be for nothing; 2 = black to white"
    )
    segmenter: float = Field(
        1.0, ge=0, description="weight of a segmentation of G(x) against the masks of x, by a network trained on x"
    )
    segmenter_min_dice: float = Field(
        0.75, ge=0, le=1, description="Dice of that network on x from which on its verdict on G(x) counts"
    )
    segmenter_channels: int = Field(16, ge=1, le=256, description="channels of that network at full resolution")
    segmenter_learning_rate: float = Field(1e-3, gt=0, lt=1, description="Adam's step size for that network")
    flip: float = Field(1.0, ge=0, description="weight of |G(mirrored x) - mirrored G(x)|")
    flip_every_steps: int = Field(4, ge=1, description="steps between two with the flip term, which costs another G(x)")
    match_occupancy: bool = Field(
        True, description="cut the real picture where it holds about as much of items as the synthetic crop"
    )
    match_candidates: int = Field(6, ge=2, le=64, description="cuts of the real picture to choose from")

    @property
    def needs_masks(self) -> bool:
        """Whether any term is on that cannot do without masks."""
        return any((self.cycle_item, self.cycle_edge, self.structure, self.new_edges, self.segmenter))

    @property
    def real_candidates(self) -> int:
        """Cuts of each real picture to choose from; 1 = not matched."""
        return self.match_candidates if self.match_occupancy else 1


class GanConfig(StageConfig):
    """How the two generators and the two discriminators are built, trained, watched and saved."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {
            "abort_after_steps",
            "abort_below_correlation",
            "accelerate",
            "cache_gb",
            "checkpoint_every_minutes",
            "checkpoint_every_steps",
            "decode_threads",
            "inception",
            "log_every_steps",
            "sample_count",
            "sample_every_steps",
            "tensorboard",
            "threads",
        }
    )

    preset: GanPreset = Field(
        "labels",
        description="where the settings under labels start. paper: all of them off, the CycleGAN as published",
    )
    labels: LabelConfig = LabelConfig()

    base_channels: int = Field(
        64, ge=1, le=512, description="channels of a generator at full resolution; the paper: 64"
    )
    discriminator_channels: int = Field(
        64, ge=1, le=512, description="channels of a discriminator's first layer; the paper: 64"
    )
    warp_max_px: float = Field(
        4.0,
        ge=0,
        lt=8,
        description="generators warp and warp6: how far a pixel may be moved along each axis, pixels; 0 = not at all",
    )
    init_std: float = Field(
        0.02, gt=0, le=1, description="standard deviation of the initial weights; biases begin at 0"
    )

    lambda_cycle: float = Field(10.0, ge=0, description="weight of |F(G(x)) - x| against the adversarial loss")
    identity_ratio: float = Field(
        0.5, ge=0, description="weight of |G(y) - y| as a multiple of lambda_cycle; keeps colours; 0 switches it off"
    )
    smooth_below: float | None = Field(
        None,
        ge=0,
        le=2,
        description=(
            "difference of gray levels (2 = black to white) below which cycle and identity loss are quadratic, not "
            "linear; null = 0 for the paper's generators, 0.2 for warp and warp6, which would not leave their "
            "beginning as the identity otherwise"
        ),
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

    presets = PRESETS
