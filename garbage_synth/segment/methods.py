"""Which backend cuts out a photo."""

from functools import partial

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.segment.backend import Backend, Photo
from garbage_synth.segment.given import find_by_alpha, find_by_label, find_by_mask
from garbage_synth.segment.grabcut import find_on_board
from garbage_synth.segment.rembg import find_by_rembg

__all__ = ["METHODS", "auto_method", "backend"]

_BACKENDS = {
    "alpha": find_by_alpha,
    "coco": find_by_label,
    "grabcut": find_on_board,
    "mask": find_by_mask,
    "rembg": find_by_rembg,
}

METHODS = ("auto", *_BACKENDS)
"""The names that `segment --method` takes."""

_OPAQUE = 250
_HIDDEN_SHARE = 0.001


def auto_method(photo: Photo) -> str:
    """The method for a photo: its own alpha where that hides something, else its mask, else grabcut."""
    if photo.alpha is not None and float((photo.alpha < _OPAQUE).mean()) > _HIDDEN_SHARE:
        return "alpha"
    return "mask" if photo.mask is not None else "grabcut"


def backend(method: str, config: SegmentConfig) -> Backend:
    """The backend of a method. Raises KeyError for an unknown one and for auto."""
    return partial(_BACKENDS[method], config=config)
