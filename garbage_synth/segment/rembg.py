"""The backend on a neural network of the optional package rembg. It never downloads: the weights file is put there."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.errors import MissingDependencyError
from garbage_synth.segment.backend import Found, Photo, Rejection
from garbage_synth.segment.judge import check_size, single_item, touches_frame
from garbage_synth.segment.likeness import disc

__all__ = ["find_by_rembg", "rembg_session"]


def find_by_rembg(photo: Photo, config: SegmentConfig) -> Found | Rejection:
    """The item as the network sees it. Raises MissingDependencyError, see `rembg_session`."""
    import rembg

    session = rembg_session(config.rembg_model)
    matte = np.asarray(rembg.remove(photo.image_rgb, session=session, only_mask=True))
    alpha = matte.astype(np.float32) / np.float32(255)
    mask = single_item(alpha >= 0.5, config, box_known=False)
    if isinstance(mask, Rejection):
        return mask
    if touches_frame(mask):
        return Rejection("touches the frame", "the item must lie wholly inside of the photo")
    alpha[cv2.dilate(mask.astype(np.uint8), disc(3)) == 0] = 0
    certainty = float(np.abs(alpha[alpha > 0.02] * 2 - 1).mean())
    return check_size(mask, config, of_photo=True) or Found(alpha, round(certainty, 4))


@lru_cache(maxsize=1)
def rembg_session(model: str) -> Any:
    """rembg's session for a model, from its weights file on this machine.

    Raises MissingDependencyError where rembg is not installed (naming the command), the model is unknown to it, or the
    weights file is not there (naming the place and where it comes from).
    """
    try:
        import pooch
        import rembg
    except ImportError as error:
        raise MissingDependencyError(
            f"method rembg needs the optional package rembg ({error}); install it: pip install 'garbage-synth[rembg]'"
        ) from error
    with _no_download(pooch, model):
        try:
            return rembg.new_session(model)
        except (KeyError, ValueError) as error:
            raise MissingDependencyError(f"rembg knows no model {model!r} ({error}); set rembg_model") from error


@contextmanager
def _no_download(pooch: Any, model: str) -> Iterator[None]:
    """While it lasts, rembg's downloader gives the file that is there, or says where it belongs."""
    download = pooch.retrieve

    def local_file(url: str, known_hash: Any = None, fname: str | None = None, path: Any = None, **_: Any) -> str:
        place = Path(path or ".") / (fname or url.rpartition("/")[2])
        if not place.is_file():
            raise MissingDependencyError(
                f"method rembg never downloads: put the weights of {model} at {place} (they come from {url})"
            )
        return str(place)

    pooch.retrieve = local_file
    try:
        yield
    finally:
        pooch.retrieve = download
