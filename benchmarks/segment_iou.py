"""How well `segment` cuts: IoU of its crops with the true silhouettes, per class, and the share it rejects.

    python benchmarks/segment_iou.py [PHOTOS TRUTH]      default: sample_data/photos sample_data/photos_truth

A crop is found again in its photo by its own pixels (it is an exact copy of them where it is opaque); its silhouette is
`<stem>_mask.png` where there is one, else alpha >= 0.5. TRUTH holds <class>/<stem>.png, white = item.
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.io.catalog import load_crops
from garbage_synth.io.images import read_mask, read_rgb, read_rgba
from garbage_synth.stages.segment import segment

CLEAR = ("glass_bottle", "plastic_bottle", "plastic_tray")
"""Classes of sample_data with see-through individuals; the others are opaque."""


def place_crop(photo_rgb: NDArray[np.uint8], crop_rgba: NDArray[np.uint8]) -> tuple[int, int]:
    """(x, y) of the crop's upper left corner in its photo; may lie a few pixels outside, for the transparent rim."""
    rim = 8
    padded = cv2.copyMakeBorder(photo_rgb, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    solid = np.repeat((crop_rgba[..., 3:] == 255).astype(np.uint8), 3, axis=2)
    distance = cv2.matchTemplate(padded, np.ascontiguousarray(crop_rgba[..., :3]), cv2.TM_SQDIFF, mask=solid)
    _, _, (x, y), _ = cv2.minMaxLoc(distance)
    return x - rim, y - rim


def crop_iou(
    photo_rgb: NDArray[np.uint8], crop_rgba: NDArray[np.uint8], silhouette: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> float:
    """Intersection over union of the crop's silhouette, put back into its photo, with the truth."""
    x, y = place_crop(photo_rgb, crop_rgba)
    found = np.zeros_like(truth)
    rows, columns = np.nonzero(silhouette)
    rows, columns = rows + y, columns + x
    keep = (rows >= 0) & (columns >= 0) & (rows < truth.shape[0]) & (columns < truth.shape[1])
    found[rows[keep], columns[keep]] = True
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def main() -> None:
    """Segments the photos into a temporary folder and prints one line per class."""
    root = Path(__file__).resolve().parents[1] / "sample_data"
    photos, truths = (
        (Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) > 2 else (root / "photos", root / "photos_truth")
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "crops"
        summary = segment(photos, out)
        scores: dict[str, list[tuple[float, str]]] = {}
        for crop in load_crops(out):
            crop_rgba = read_rgba(out / crop.file)
            silhouette = crop_rgba[..., 3] >= 128
            if crop.mask_file is not None:
                silhouette = read_mask(out / crop.mask_file)
            truth = read_mask(truths / f"{crop.id}.png")
            iou = crop_iou(read_rgb(photos / crop.source), crop_rgba, silhouette, truth)
            scores.setdefault(crop.category, []).append((iou, crop.id))
    for category, found in scores.items():
        values = [iou for iou, _ in found]
        worst = ", ".join(f"{name} {iou:.3f}" for iou, name in sorted(found)[:3])
        print(f"{category:16s} n={len(values):3d} mean {np.mean(values):.3f} min {min(values):.3f}   worst: {worst}")
    for title, wanted in (("opaque classes", False), ("clear classes", True)):
        values = [iou for category, found in scores.items() if (category in CLEAR) == wanted for iou, _ in found]
        if values:
            print(f"{title}: mean IoU {np.mean(values):.4f} over {len(values)}")
    rejected = sum(summary.numbers["rejected"].values())
    print(f"rejected: {rejected} of {rejected + summary.numbers['crops']}")
    for warning in summary.warnings:
        print(f"  {warning}")


if __name__ == "__main__":
    main()
