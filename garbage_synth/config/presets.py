"""Named starting points of the composite settings: what they set differently from the defaults."""

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["PRESETS", "Preset"]

Preset = Literal["default", "fast", "naive"]

_SHARP = {"motion_probability": 0.0, "defocus_probability": 0.0, "vignette_probability": 0.0}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # warp, soft edge, gain, shadows, noise: what costs least for what it brings
    "fast": {
        "deform": {"probability": 0.0},
        "light": {"match_colour": 0.0, "follow_field": 0.0, "specular_fade": [0.0, 0.0]},
        "blend": {"mode": "feather"},
        "camera": _SHARP,
    },
    # what a first script does: the lower bound that everything else is measured against
    "naive": {
        "deform": {"probability": 0.0},
        "pose": {"squash": [1.0, 1.0]},
        "light": {
            "contact_strength": [0.0, 0.0],
            "cast_strength": [0.0, 0.0],
            "match_lightness": 0.0,
            "match_colour": 0.0,
            "follow_field": 0.0,
            "specular_fade": [0.0, 0.0],
            "exposure_jitter": 0.0,
            "hue_jitter_deg": 0.0,
        },
        "blend": {"mode": "none"},
        "camera": {**_SHARP, "noise": [0.0, 0.0], "gain_jitter": 0.0, "white_balance_jitter": 0.0},
    },
}
