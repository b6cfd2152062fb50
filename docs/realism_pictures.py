"""The before/after pictures of docs/realism.md, made from sample_data/: python docs/realism_pictures.py

Every pair is one scene, made twice with one part switched. Parts are shown strong, so that they can be seen.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from garbage_synth.api import composite
from garbage_synth.config.base import load_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.dataset import read_dataset
from garbage_synth.io.images import encode_jpeg, encode_png, read_rgb
from garbage_synth.report.draw import draw_labels

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "realism"
SIZE_WH = (960, 720)
SHOWN_WH = (480, 360)
PLAIN = ("deform.probability=0", "camera.noise=[0.5, 1]", "camera.motion_probability=0", "camera.defocus_probability=0")


@dataclass(frozen=True)
class Pair:
    """off and on: settings of the two pictures. seed: chooses the scene. zoom: (x, y, width) of the part shown."""

    name: str
    off: tuple[str, ...]
    on: tuple[str, ...]
    seed: int = 6
    items: tuple[int, int] = (8, 10)
    zoom: tuple[int, int, int] | None = None
    labels: bool = False
    both: Mapping[str, object] = field(default_factory=dict)


PAIRS = (
    Pair("naive", ("preset=naive",), ()),
    Pair(
        "deform",
        PLAIN,
        ("deform.probability=1", "deform.bend_deg=40", "deform.crush=0.35", "deform.dent_depth=0.09", *PLAIN[1:]),
        zoom=(240, 60, 640),
    ),
    Pair("shadow", (*PLAIN, "light.contact_strength=[0, 0]", "light.cast_strength=[0, 0]"), PLAIN, zoom=(240, 60, 640)),
    Pair(
        "light",
        (*PLAIN, "light.match_lightness=0", "light.match_colour=0", "light.follow_field=0"),
        (*PLAIN, "light.match_lightness=0.5", "light.match_colour=0.3", "light.follow_field=1"),
    ),
    Pair("specular", (*PLAIN, "light.specular_fade=[0, 0]"), (*PLAIN, "light.specular_fade=[0.9, 0.9]"), seed=3),
    Pair("edges", (*PLAIN, "blend.mode=none"), (*PLAIN, "blend.mode=gaussian"), zoom=(500, 300, 240)),
    Pair("poisson", (*PLAIN, "blend.mode=feather"), (*PLAIN, "blend.mode=poisson")),
    Pair("pyramid", (*PLAIN, "blend.mode=none"), (*PLAIN, "blend.mode=pyramid"), zoom=(500, 300, 240)),
    Pair("vignette", PLAIN, (*PLAIN, "camera.vignette_probability=1", "camera.vignette=[0.5, 0.5]")),
    Pair(
        "defocus",
        PLAIN,
        (*PLAIN[:3], "camera.defocus_probability=1", "camera.defocus_px=[2.5, 2.5]"),
        zoom=(500, 300, 240),
    ),
    Pair(
        "balance",
        (*PLAIN, "camera.white_balance_jitter=0", "camera.gain_jitter=0"),
        (*PLAIN, "camera.white_balance_jitter=0.2", "camera.gain_jitter=0.3"),
    ),
    Pair(
        "jpeg",
        (*PLAIN, "camera.jpeg_quality=[100, 100]"),
        (*PLAIN, "camera.jpeg_quality=[15, 15]"),
        zoom=(500, 300, 240),
    ),
    Pair("pose", (*PLAIN, "pose.rotate=false", "pose.flip=false", "pose.squash=[1, 1]"), PLAIN),
    Pair("cut", (*PLAIN, "placement.cut_fraction=0"), (*PLAIN, "placement.cut_fraction=0.8")),
    Pair(
        "motion",
        PLAIN,
        (*PLAIN[:2], "camera.motion_probability=1", "camera.motion_px=[6, 6]", PLAIN[3]),
        zoom=(500, 300, 240),
    ),
    Pair(
        "noise",
        (PLAIN[0], "camera.noise=[0, 0]", *PLAIN[2:]),
        (PLAIN[0], "camera.noise=[6, 6]", *PLAIN[2:]),
        zoom=(500, 300, 240),
    ),
    Pair(
        "layout",
        (*PLAIN, "placement.spread_weight=1", "placement.random_weight=0", "placement.cluster_weight=0"),
        (
            *PLAIN,
            "placement.spread_weight=0",
            "placement.random_weight=0",
            "placement.cluster_weight=0",
            "placement.pile_weight=1",
        ),
        items=(14, 14),
    ),
    Pair(
        "coverage",
        (*PLAIN, "placement.coverage=[0.08, 0.08]"),
        (*PLAIN, "placement.coverage=[0.35, 0.35]"),
        items=(1, 40),
    ),
    Pair("perspective", PLAIN, PLAIN, both={"perspective": True}),
    Pair("distractors", PLAIN, (*PLAIN, "distractors.count=[14, 14]"), both={"distractors": True}, labels=True),
)


def picture(pair: Pair, settings: tuple[str, ...], folder: Path, on: bool) -> NDArray[np.uint8]:
    """One picture of a pair, RGB uint8 of SHOWN_WH."""
    belts, own = ROOT / "sample_data" / "belts", folder / f"{pair.name}_{on}"
    if pair.both.get("perspective") and on:
        belts = aslant(belts, folder / "belts")
    composite(
        ROOT / "sample_data" / "crops",
        belts,
        own,
        count=1,
        distractors=strewn(folder / "drops") if pair.both.get("distractors") and on else None,
        size=SIZE_WH,
        items=pair.items,
        val_fraction=0.0,
        seed=pair.seed,
        workers=1,
        config=load_config(CompositeConfig, None, settings),
    )
    image = read_rgb(own / "images" / "train" / "train_000000.jpg")
    if pair.labels:
        dataset = read_dataset(own)
        image = draw_labels(image, dataset.splits["train"].annotations, dataset.categories, names=False)
    if pair.zoom is not None:
        x, y, width = pair.zoom
        image = image[y : y + width * 3 // 4, x : x + width]
    return np.asarray(cv2.resize(image, SHOWN_WH, interpolation=cv2.INTER_AREA), np.uint8)


def aslant(belts: Path, folder: Path) -> Path:
    """The belts as if the camera looked along them: things on the left are far."""
    for path in sorted(belts.glob("*.jpg")):
        sidecar = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
        del sidecar["belt_mm_per_px"]
        sidecar["mm_per_px_at"] = [[0, 480, 1.8], [1280, 480, 0.7]]
        write_bytes(folder / path.name, path.read_bytes())
        write_bytes(folder / f"{path.stem}.yaml", yaml.safe_dump(sidecar).encode())
    return folder


def strewn(folder: Path) -> Path:
    """Clods and drops, drawn."""
    rng = np.random.default_rng(0)
    for number in range(8):
        outline = cv2.GaussianBlur(rng.normal(0, 1, (96, 96)), (0, 0), 16)
        y, x = np.mgrid[-1:1:96j, -1:1:96j]
        inside = np.clip((0.6 + 9 * outline - np.hypot(x, y)) * 20, 0, 1)
        colour = rng.uniform(0.4, 1.2) * np.array([95, 75, 55])
        rgb = np.clip(colour + 80 * cv2.GaussianBlur(rng.normal(0, 1, (96, 96)), (0, 0), 2)[..., None], 0, 255)
        write_bytes(folder / f"clod{number}.png", encode_png(np.dstack([rgb, 255 * inside]).astype(np.uint8)))
    return folder


def main() -> None:
    """Make all pairs."""
    for pair in PAIRS:
        with tempfile.TemporaryDirectory() as name:
            halves = [picture(pair, pair.on if on else pair.off, Path(name), on) for on in (False, True)]
        gap = np.full((SHOWN_WH[1], 6, 3), 255, np.uint8)
        write_bytes(OUT / f"{pair.name}.jpg", encode_jpeg(np.hstack([halves[0], gap, halves[1]]), 85))


if __name__ == "__main__":
    main()
