"""Labels between a dataset's files and the label check: what is asked, what the verdicts change."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from garbage_synth.core.masks import mask_of_segmentation, rle_of_mask
from garbage_synth.core.types import Annotation
from garbage_synth.errors import InputError
from garbage_synth.fidelity.verdicts import FrameVerdict, Label, Verdict

__all__ = ["OnDrift", "carried", "entry_of", "frame_entry", "labels_of", "rank_of"]

OnDrift = Literal["adjust", "drop", "keep", "fail"]
"""What becomes of labels that no longer hold: moved or, where the item is gone, left out; left out in either case; kept
as they were; kept, and the run counts as failed."""

_AMODAL_KEYS = ("amodal_bbox", "amodal_segmentation")  # of the whole silhouette, whose motion nobody measured


def labels_of(annotations: Sequence[Annotation], size_hw: tuple[int, int], source: str) -> tuple[Label, ...]:
    """What the check needs of the annotations of a picture of size_hw. Raises InputError naming the source and id."""
    return tuple(_label(annotation, size_hw, source) for annotation in annotations)


def entry_of(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON: status, q, e, drawn, shift_px, and for an adjusted label bbox, area and segmentation."""
    entry: dict[str, Any] = {
        "drawn": round(verdict.drawn, 4),
        "e": round(verdict.e, 4),
        "q": round(verdict.q, 4),
        "shift_px": round(verdict.shift_px, 3),
        "status": verdict.status,
    }
    if verdict.status == "adjusted":
        x0, y0, x1, y1 = verdict.box_xyxy
        entry["trimmed"] = verdict.trimmed
        entry["bbox"] = [round(value, 3) for value in (x0, y0, x1 - x0, y1 - y0)]
        entry["area"] = round((x1 - x0) * (y1 - y0), 3)
        if verdict.mask is not None:
            entry["segmentation"] = rle_of_mask(verdict.mask)
            entry["area"] = int(verdict.mask.sum())
    return entry


def frame_entry(verdict: FrameVerdict, annotations: Sequence[Annotation]) -> dict[str, Any]:
    """The verdict on a picture as JSON: status, invented, and items, each with the id of its annotation."""
    return {
        "invented": [{"box_xyxy": list(own.box_xyxy), "score": own.score} for own in verdict.invented],
        "items": [
            {"id": annotation.id, **entry_of(own)}
            for annotation, own in zip(annotations, verdict.verdicts, strict=True)
        ],
        "status": verdict.status,
    }


def rank_of(entry: Mapping[str, Any]) -> tuple[float, float]:
    """Where a verdict (see `frame_entry`) stands, the worst first: the part of labels dropped, then the least e."""
    items = entry["items"]
    dropped = sum(item["status"] == "dropped" for item in items)
    return -dropped / max(1, len(items)), min((item["e"] for item in items), default=1.0)


def carried(entry: Mapping[str, Any], verdict: Mapping[str, Any], on_drift: OnDrift) -> dict[str, Any] | None:
    """A COCO annotation as it goes on after a verdict (see `entry_of`), or None where it is left out.

    It gets a field "fidelity" with status, q, e, drawn and shift_px, and warp_px where there is one: how far the
    generator itself says that it moved the item. All other fields stay as they are, but for an
    adjusted label under "adjust": its bbox, area and segmentation are the measured ones, amodal fields are gone, and
    where a part is gone visible_fraction is smaller by it.
    """
    fidelity = {key: verdict[key] for key in ("drawn", "e", "q", "shift_px", "status", "warp_px") if key in verdict}
    status = verdict["status"]
    if status == "accepted" or on_drift in ("keep", "fail"):
        return {**entry, "fidelity": fidelity}
    if status == "dropped" or on_drift == "drop":
        return None
    measured = {key: verdict[key] for key in ("area", "bbox", "segmentation") if key in verdict}
    kept = {key: value for key, value in entry.items() if key not in _AMODAL_KEYS}
    seen = entry.get("visible_fraction")
    if isinstance(seen, int | float) and verdict.get("trimmed"):
        measured["visible_fraction"] = round(seen * verdict["drawn"], 4)
    return {**kept, **measured, "fidelity": fidelity}


def _label(annotation: Annotation, size_hw: tuple[int, int], source: str) -> Label:
    x, y, width, height = annotation.bbox_xywh
    box = x, y, x + width, y + height
    if not annotation.segmentation:
        return Label(box)
    try:
        return Label(box, mask_of_segmentation(annotation.segmentation, size_hw))
    except (ValueError, TypeError) as error:
        raise InputError(f"annotation {annotation.id} of picture {source}: {error}") from error
