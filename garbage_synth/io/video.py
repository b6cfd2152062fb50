"""Pictures out of video files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.errors import InputError
from garbage_synth.io.images import MAX_PIXELS

__all__ = ["VIDEO_SUFFIXES", "VideoFacts", "read_video", "video_facts"]

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
"""Lower-case endings of the files that are taken for videos."""

_FPS_UNKNOWN = 25.0


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video's header says. frames: how many, 0 where unknown; fps: frames per second, 25 where unknown."""

    size_wh: tuple[int, int]
    frames: int
    fps: float
    fps_known: bool


def video_facts(path: Path) -> VideoFacts:
    """What the header says. Raises InputError naming the file where it is missing or no video."""
    capture = _open(path)
    try:
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        frames, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    if width * height > MAX_PIXELS:
        raise InputError(f"video {path} claims {width}x{height} pixels, at most {MAX_PIXELS:,} are decoded")
    known = 0.1 <= fps <= 1000
    return VideoFacts((width, height), max(0, frames), fps if known else _FPS_UNKNOWN, known)


def read_video(path: Path, every: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(frame number from 0, RGB uint8 (h, w, 3)) of every `every`-th frame, turned as the file says.

    Raises InputError naming the file where it is missing, no video, or not one frame can be decoded.
    """
    capture = _open(path)
    try:
        number = 0
        while capture.grab():
            if number % every == 0:
                decoded, image_bgr = capture.retrieve()
                if decoded:
                    yield number, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            number += 1
    finally:
        capture.release()
    if number == 0:
        raise InputError(f"video {path} holds no frame that can be decoded")


def _open(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise InputError(f"video {path} does not exist")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"{path} is not a video that can be read")
    return capture
