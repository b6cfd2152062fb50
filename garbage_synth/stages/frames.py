"""`frames`: pictures from a line video without near-duplicates, and the empty belt as a median."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.base import dump_config
from garbage_synth.config.frames import FramesConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.atomic import write_bytes, write_json, write_text
from garbage_synth.io.folders import files_under, require_folder
from garbage_synth.io.images import IMAGE_SUFFIXES, encode_jpeg, encode_png, read_rgb
from garbage_synth.io.output import SETTINGS_FILE, fingerprint, open_output
from garbage_synth.io.video import VIDEO_SUFFIXES, read_video, video_facts

__all__ = ["frames"]

_THUMB_WH = (64, 48)
_REMEMBERED = 512
_PLATE_RECORD = ".plate.json"
_GHOST_LEVELS = 15
_GHOST_SHARE = 0.02


def frames(
    source: Path,
    out: Path,
    *,
    every: float = 1.0,
    median: Path | None = None,
    config: FramesConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Write `<video>_<frame number>.jpg` into `out`: looks at `source` that differ from every one kept before.

    source: a video file, or a folder of videos or of pictures (each picture is one look). every: seconds between
    two looks at a video. median: a picture file for the per-pixel median of looks spread evenly over the source; it
    is the empty belt where each place is empty more than half of the time, and a warning says where it is not.

    Raises InputError where the source cannot be read, the pictures differ in size (median only) or `median` is there
    already without overwrite.
    """
    config, progress = config or FramesConfig(), progress or NullProgress()
    if not (every > 0 and math.isfinite(every)):
        raise InputError(f"every is {every}, a positive number of seconds was expected")
    videos, pictures = _sources(source)
    warnings = [f"{path} does not say its frame rate; 25 per second assumed" for path in videos if not _known(path)]
    looks = len(pictures) + sum(-(-video_facts(path).frames // _step(path, every)) for path in videos)
    if median is not None:
        _check_plate(median, source, out, replace=overwrite or resume)
    _check_pictures(pictures, progress, one_size=median is not None)
    identity = {
        "config": config.model_dump(mode="json"),
        "every": every,
        "inputs": fingerprint([source]),
        "median": median is not None,
    }
    output = open_output(
        out,
        stage="frames",
        identity=identity,
        inputs=[source],
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )
    if dry_run:
        return StageSummary("frames", out, {"videos": len(videos), "pictures": len(pictures), "looks": looks})
    if output.finished and (median is None or median.exists()):
        return StageSummary("frames", out, output.numbers)

    write_text(out / SETTINGS_FILE, dump_config(config))
    chooser, plate = _Chooser(config), _Plate(config, looks)
    seen = kept = 0
    first: Path | None = None
    progress.start("frames", looks or None)
    for stem, image_rgb in _looks(videos, pictures, every):
        seen += 1
        progress.advance()
        if median is not None:
            plate.offer(image_rgb, stem)
        if chooser.takes(image_rgb):
            kept += 1
            first = first or out / f"{stem}.jpg"
            write_bytes(out / f"{stem}.jpg", encode_jpeg(image_rgb, config.jpeg_quality))
    numbers: dict[str, int | float] = {"looks": seen, "kept": kept, "near_duplicates": seen - kept}
    if median is not None:
        image_rgb, covered = plate.median()
        encoded = encode_png(image_rgb) if median.suffix.lower() == ".png" else encode_jpeg(image_rgb, 95)
        write_json(out / _PLATE_RECORD, {"sha256": hashlib.sha256(encoded).hexdigest()})
        write_bytes(median, encoded)
        numbers |= {"plate_looks": len(plate.looks), "plate_covered_fraction": round(covered, 4)}
        if covered > _GHOST_SHARE:
            warnings.append(
                f"the belt is covered more than half of the time in {covered:.0%} of {median.name}: look at it, "
                "and give more footage where items show as ghosts"
            )
    for warning in warnings:
        progress.message(f"warning: {warning}")
    output.finish(numbers)
    return StageSummary("frames", out, numbers, tuple(warnings), median or first)


def _sources(source: Path) -> tuple[list[Path], list[Path]]:
    """(videos, pictures), one of them empty."""
    if source.is_file():
        return [source], []
    require_folder(source, "source")
    members = files_under(source)
    videos = [path for path in members if path.suffix.lower() in VIDEO_SUFFIXES]
    pictures = [path for path in members if path.suffix.lower() in IMAGE_SUFFIXES]
    if videos and pictures:
        raise InputError(f"source {source} holds videos ({videos[0].name}) and pictures ({pictures[0].name}); give one")
    if not videos and not pictures:
        raise InputError(f"source {source} holds no video ({' '.join(sorted(VIDEO_SUFFIXES))}) and no picture")
    stems: dict[str, Path] = {}
    for path in videos or pictures:
        other = stems.setdefault(path.stem, path)
        if other is not path:
            raise InputError(f"{other} and {path} have the same name, their pictures would overwrite each other")
    return videos, pictures


def _check_pictures(pictures: list[Path], progress: Progress, *, one_size: bool) -> None:
    """Decode every picture, so that a bad one is refused before anything is written."""
    if pictures:
        progress.start("checking the pictures", len(pictures))
    first: tuple[int, ...] | None = None
    for path in pictures:
        shape = read_rgb(path).shape
        first = first or shape
        if one_size and shape != first:
            raise InputError(
                f"picture {path} is {shape[1]}x{shape[0]} pixels, those before {first[1]}x{first[0]}; "
                "a median needs one camera"
            )
        progress.advance()


def _known(video: Path) -> bool:
    return video_facts(video).fps_known


def _step(video: Path, every: float) -> int:
    """Frames between two looks."""
    return max(1, round(every * video_facts(video).fps))


def _check_plate(median: Path, source: Path, out: Path, *, replace: bool) -> None:
    """Refuses a place where the plate would do harm; `replace` allows for the plate that this output made before."""
    if median.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise InputError(f"median {median} must end in .jpg or .png")
    target = median.resolve()
    if target == source.resolve() or source.resolve() in target.parents:
        raise InputError(f"median {median} lies in the source {source}; choose another place")
    if out.resolve() in target.parents:
        raise InputError(f"median {median} lies among the pictures of {out}; choose another place")
    if median.is_dir():
        raise InputError(f"median {median} is a folder, a file was expected")
    if median.exists() and not (replace and _is_our_plate(median, out)):
        raise OutputExistsError(f"median {median} is there already and not of this output; give another name")


def _is_our_plate(median: Path, out: Path) -> bool:
    """Whether `out` recorded that it wrote `median` as it is now."""
    try:
        record = json.loads((out / _PLATE_RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("sha256") == hashlib.sha256(median.read_bytes()).hexdigest()


def _looks(videos: list[Path], pictures: list[Path], every: float) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """(stem of the output file, RGB uint8 (h, w, 3)) in order."""
    for path in videos:
        for number, image_rgb in read_video(path, _step(path, every)):
            yield f"{path.stem}_{number:07d}", image_rgb
    for path in pictures:
        yield path.stem, read_rgb(path)


class _Chooser:
    """Takes a picture where it differs enough from each of the last few hundred that it took."""

    def __init__(self, config: FramesConfig) -> None:
        self._config = config
        self._taken: list[NDArray[np.int16]] = []

    def takes(self, image_rgb: NDArray[np.uint8]) -> bool:
        """True, and remembered, where the picture is new."""
        thumb = cv2.resize(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), _THUMB_WH, interpolation=cv2.INTER_AREA)
        gray = thumb.astype(np.int16)
        if self._taken and self._config.min_change > 0:
            difference = np.stack(self._taken) - gray
            light = np.median(difference, axis=(1, 2), keepdims=True)  # a lamp that flickers is no new picture
            changed = (np.abs(difference - light) > self._config.change_levels).mean(axis=(1, 2))
            if float(changed.min()) < self._config.min_change:
                return False
        self._taken = [*self._taken[-_REMEMBERED + 1 :], gray]
        return True


class _Plate:
    """The median of looks that are spread evenly over the source."""

    def __init__(self, config: FramesConfig, looks: int) -> None:
        self.looks: list[NDArray[np.uint8]] = []
        self._config = config
        self._expected = looks
        self._offered = 0

    def offer(self, image_rgb: NDArray[np.uint8], stem: str) -> None:
        """Keep the look where its turn has come. Raises InputError where its size differs from those before."""
        if self.looks and self.looks[0].shape != image_rgb.shape:
            height, width = self.looks[0].shape[:2]
            raise InputError(
                f"picture {stem} is {image_rgb.shape[1]}x{image_rgb.shape[0]} pixels, those before {width}x{height}; "
                "a median needs one camera"
            )
        room = max(3, min(self._config.plate_frames, (self._config.plate_memory_mb << 20) // image_rgb.nbytes))
        if len(self.looks) < room and len(self.looks) * max(self._expected, room) <= self._offered * room:
            self.looks.append(image_rgb)
        self._offered += 1

    def median(self) -> tuple[NDArray[np.uint8], float]:
        """(RGB uint8 (h, w, 3), share of the picture where at most half of the looks are like it)."""
        height, width = self.looks[0].shape[:2]
        image_rgb = np.empty((height, width, 3), dtype=np.uint8)
        uncertain = 0
        for top in range(0, height, 64):  # in bands, so that the looks are copied piece by piece
            band = np.stack([look[top : top + 64] for look in self.looks])
            middle = np.median(band, axis=0)
            image_rgb[top : top + 64] = np.round(middle).astype(np.uint8)
            alike = (np.abs(band - middle).max(axis=-1) <= _GHOST_LEVELS).mean(axis=0)
            uncertain += int((alike <= 0.5).sum())
        return image_rgb, uncertain / (height * width)
