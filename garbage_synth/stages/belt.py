"""`belt`: a proposal of where the belt lies in pictures of it, as a sidecar beside each and an overlay to check."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from garbage_synth.composite.propose import BeltProposal, propose_belt
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.catalog import belt_pictures, read_sidecar, write_sidecar
from garbage_synth.io.images import IMAGE_SUFFIXES, encode_jpeg, read_rgb
from garbage_synth.io.output import OutputFolder, read_manifest
from garbage_synth.report.draw import draw_region

__all__ = ["CHECK_ENDING", "belt"]

CHECK_ENDING = "_belt_check"
"""What the folder of the overlays is called where none is given: the name of the pictures' folder, and this."""

DOUBTFUL = 0.6  # a proposal of less confidence gets a warning of its own
_SIDE_PX = 1280
_JPEG_QUALITY = 88
_SURE_RGB, _DOUBTFUL_RGB = (60, 220, 90), (255, 90, 60)


@dataclass(frozen=True, slots=True)
class _Result:
    picture: Path
    fields: dict[str, Any]
    proposal: BeltProposal
    overlay: Path
    jpeg: bytes


def belt(
    pictures: Sequence[Path],
    *,
    mm_per_px: float | None = None,
    travel_deg: float | None = None,
    overlay: Path | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Write `<stem>.yaml` with a proposed polygon_px beside each picture of an empty belt, and an overlay to check it.

    pictures: picture files, and folders of them (what lies directly in one, without `*_mask.*`). mm_per_px: scale of
    the pictures, written as belt_mm_per_px. travel_deg: direction of travel, 0 = +x, 90 = +y; where it is not given,
    that of the belt's edges, 0 <= travel_deg < 180, if both were found: which of the two ways it runs a picture does
    not tell. overlay: folder for the overlays, `<stem>.jpg` each; default `<folder>_belt_check` beside the folder of
    the pictures. It never lies among the pictures, because every picture there counts as a belt.

    A picture that has a sidecar is skipped. overwrite: replace the polygon_px of that sidecar, and what mm_per_px and
    travel_deg give; its other keys stay, its comments do not. dry_run: propose, write nothing. Everything is read
    before anything is written.

    numbers: how many pictures there are, were `written` (in a dry run: would be) and `skipped`, and `proposals`: of
    each picture the edges found, confidence and reason.

    Raises InputError for a picture or sidecar that cannot be used, a scale or direction that is no such, an overlay
    folder among the pictures and two overlays of one name; OutputExistsError where the overlay folder holds what this
    command did not make.
    """
    progress = progress or NullProgress()
    if mm_per_px is not None and not (isfinite(mm_per_px) and mm_per_px > 0):
        raise InputError(f"mm_per_px is {mm_per_px}, a positive number of millimetres was expected")
    if travel_deg is not None and not -360 <= travel_deg <= 360:
        raise InputError(f"travel_deg is {travel_deg}, degrees from -360 to 360 were expected")
    given = {
        key: value for key, value in (("belt_mm_per_px", mm_per_px), ("travel_deg", travel_deg)) if value is not None
    }
    found = _pictures(pictures)
    skipped = [path for path in found if path.with_suffix(".yaml").exists() and not overwrite]
    overlays = _overlays([path for path in found if path not in skipped], found, overlay)

    progress.start("looking for the belt", len(overlays))
    results: list[_Result] = []
    for path, target in overlays.items():
        results.append(_result(path, target, given))
        progress.advance()
    for path in skipped:
        progress.message(f"{path} is skipped, it has a sidecar; --overwrite replaces its polygon_px")
    warnings = tuple(_warning(result, dry_run) for result in results if result.proposal.confidence < DOUBTFUL)
    for warning in warnings:
        progress.message(f"warning: {warning}")
    if not dry_run:
        _write(results)
    numbers = {
        "pictures": len(found),
        "written": len(results),
        "skipped": len(skipped),
        "proposals": [_facts(result) for result in results],
    }
    folders = {result.overlay.parent for result in results}
    shown = not dry_run and bool(results)
    return StageSummary(
        "belt",
        folders.pop() if shown and len(folders) == 1 else None,
        numbers,
        warnings,
        results[0].overlay if shown else None,
    )


def _pictures(given: Sequence[Path]) -> list[Path]:
    """Every picture once, in the order given."""
    if not given:
        raise InputError("no picture given; expected picture files, or folders of them")
    found: dict[Path, Path] = {}
    for path in given:
        if not path.exists():
            raise InputError(f"picture or folder {path} does not exist")
        if not path.is_dir() and path.suffix.lower() not in IMAGE_SUFFIXES:
            raise InputError(f"{path} is no picture by its ending; known are {' '.join(sorted(IMAGE_SUFFIXES))}")
        for picture in belt_pictures(path) if path.is_dir() else [path]:
            found.setdefault(picture.resolve(), picture)
    sidecars: dict[Path, Path] = {}
    for real, picture in found.items():
        other = sidecars.setdefault(real.parent / real.stem, picture)
        if other is not picture:
            raise InputError(f"pictures {other} and {picture} differ only in ending, they would share a sidecar")
    return list(found.values())


def _overlays(pictures: Sequence[Path], found: Sequence[Path], folder: Path | None) -> dict[Path, Path]:
    """The overlay file of each of the pictures; `found` are all that were given."""
    targets = {path: (folder or _check_folder(path)) / f"{path.stem}.jpg" for path in pictures}
    among = {path.resolve().parent for path in found}
    for target in {path.parent for path in targets.values()}:
        real = target.resolve()
        inside = next((place for place in among if place == real or place in real.parents), None)
        if inside is not None:
            raise InputError(
                f"overlay folder {target} lies in {inside}, where every picture counts as a belt; choose another "
                "--overlay"
            )
        if target.exists() and not target.is_dir():
            raise OutputExistsError(f"overlay {target} is a file, a folder was expected")
        ours = (read_manifest(target) or {}).get("stage") == "belt"
        if target.is_dir() and not ours and any(target.iterdir()):
            raise OutputExistsError(
                f"overlay folder {target} holds what this command did not make; choose another --overlay"
            )
    owners: dict[Path, Path] = {}
    for path, target in targets.items():
        other = owners.setdefault(target.resolve(), path)
        if other is not path:
            raise InputError(f"the overlays of {other} and {path} would be one file, {target}; leave --overlay out")
    return targets


def _check_folder(picture: Path) -> Path:
    """Beside the folder that holds the picture."""
    folder = picture.parent if picture.parent.name not in ("", "..") else picture.resolve().parent
    if not folder.name:
        raise InputError(f"picture {picture} lies in no named folder; say with --overlay where the overlays go")
    return folder.with_name(folder.name + CHECK_ENDING)


def _result(picture: Path, overlay: Path, given: dict[str, float]) -> _Result:
    image_rgb = read_rgb(picture)
    before = read_sidecar(picture.with_suffix(".yaml"))
    if "belt_mm_per_px" in given and "mm_per_px_at" in before:
        raise InputError(
            f"{picture.with_suffix('.yaml')} has mm_per_px_at, which --mm-per-px contradicts; leave one of them out"
        )
    proposal = propose_belt(image_rgb)
    seen = {} if proposal.travel_deg is None else {"travel_deg": proposal.travel_deg}
    fields = {**seen, **before, **given, "polygon_px": proposal.polygon_px}
    colour = _DOUBTFUL_RGB if proposal.confidence < DOUBTFUL else _SURE_RGB
    drawn = draw_region(image_rgb, proposal.polygon_px, side_px=_SIDE_PX, colour=colour)
    return _Result(picture, fields, proposal, overlay, encode_jpeg(drawn, _JPEG_QUALITY))


def _write(results: Sequence[_Result]) -> None:
    """Overlays first: a picture whose sidecar is there has one."""
    for folder in sorted({result.overlay.parent for result in results}):
        output = OutputFolder(folder, "belt", {})
        output.begin()
        of_folder = [result for result in results if result.overlay.parent == folder]
        for result in of_folder:
            write_bytes(result.overlay, result.jpeg)
            write_sidecar(result.picture.with_suffix(".yaml"), result.fields)
        output.finish({"overlays": len(of_folder)})


def _warning(result: _Result, dry_run: bool) -> str:
    proposal = result.proposal
    advice = "look at the overlay, and draw polygon_px by hand where it is wrong"
    if dry_run:
        advice = "it needs a look"
    if not proposal.edges:
        advice = "where the belt does not fill the picture, draw its polygon_px by hand"
    return f"{result.picture}: {proposal.reason} (confidence {proposal.confidence:.2f}); {advice}"


def _facts(result: _Result) -> dict[str, Any]:
    proposal = result.proposal
    return {
        "picture": str(result.picture),
        "edges": proposal.edges,
        "confidence": proposal.confidence,
        "reason": proposal.reason,
    }
