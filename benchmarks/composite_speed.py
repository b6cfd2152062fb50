"""How many labelled pictures a CPU second makes: 1280x720, 8 items of about 280 px, JPEG file written, one thread.

    python benchmarks/composite_speed.py [--pictures 200] [--set key=value ...] [--json]

Crops and belt are made here, so the numbers need no data. Everything is cached before the clock starts. CPU time is
counted, not wall time, so that neighbours on the machine disturb little. Printed beside the rate: the cost of each
part, and the ratio to one JPEG encode of the same pictures measured in the same run, which carries over to other
machines better than the rate does.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from garbage_synth.composite.annotate import rle_of_part, visible_parts
from garbage_synth.composite.belt import fit_belt
from garbage_synth.composite.blend import lay_over, soft_edge
from garbage_synth.composite.cutout import CropFacts, level_for
from garbage_synth.composite.render import lay_out, paint, settle
from garbage_synth.composite.sample import Catalog, sample_scene
from garbage_synth.composite.scale import scale_rule
from garbage_synth.composite.sensor import expose
from garbage_synth.composite.shade import cast_shadow, fit_light
from garbage_synth.composite.warp import warp
from garbage_synth.config.base import load_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.catalog import load_backgrounds, load_crops
from garbage_synth.io.images import encode_jpeg, encode_png
from garbage_synth.stages.composite_image import InspectCrop, MakePicture

SIZE_WH = (1280, 720)
ITEMS = 8
ITEM_PX = 280
CROP_PX = 420


def make_inputs(folder: Path, rng: np.random.Generator) -> None:
    """Seven textured, roundish crops of two classes, and one belt with light and grain."""
    for number in range(7):
        texture = cv2.resize(rng.integers(40, 220, (12, 12, 3), dtype=np.uint8), (CROP_PX, CROP_PX))
        noise = rng.normal(0, 8, texture.shape)
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        radius = CROP_PX * 0.5 * (0.8 + 0.15 * rng.random(40))
        points = np.stack([np.cos(angle) * radius, np.sin(angle) * radius * 0.8], 1) + CROP_PX / 2
        alpha = np.zeros((CROP_PX, CROP_PX), np.uint8)
        cv2.fillPoly(alpha, [np.rint(points).astype(np.int32)], (255,))
        rgba = np.dstack([np.clip(texture + noise, 0, 255).astype(np.uint8), cv2.GaussianBlur(alpha, (5, 5), 1.0)])
        write_bytes(folder / "crops" / f"class{number % 2}" / f"{number}.png", encode_png(rgba))
    light = np.linspace(70, 110, SIZE_WH[0])[None, :, None] * np.ones((SIZE_WH[1], 1, 3))
    belt = np.clip(light + rng.normal(0, 4, light.shape), 0, 255).astype(np.uint8)
    write_bytes(folder / "belts" / "belt.png", encode_png(belt))


def prepare(folder: Path, config: CompositeConfig) -> MakePicture:
    """The task that `composite` runs, on the made inputs, with exactly ITEMS items of about ITEM_PX."""
    crops, views = load_crops(folder / "crops"), (fit_belt(load_backgrounds(folder / "belts")[0], SIZE_WH),)
    inspect = InspectCrop(folder / "crops")
    facts = [found for _, found in map(inspect, crops) if found is not None]
    grouped: dict[str, tuple[CropFacts, ...]] = {}
    for found in facts:
        grouped[found.crop.category] = (*grouped.get(found.crop.category, ()), found)
    rule, _ = scale_rule(config.scale, None, facts, views)
    catalog = Catalog(grouped, views, dict.fromkeys(grouped, 1 / len(grouped)), 0.5, (ITEMS, ITEMS), rule)
    ids = {name: number for number, name in enumerate(sorted(grouped), 1)}
    return MakePicture(folder / "crops", folder / "belts", folder / "out", config, 0, {"train": catalog}, ids)


def cpu_ms(work: Callable[[int], Any], numbers: range) -> float:
    """The median CPU milliseconds of work(number)."""
    times = []
    for number in numbers:
        start = time.process_time()
        work(number)
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def parts_ms(task: MakePicture, pictures: range) -> dict[str, float]:
    """Median CPU milliseconds per picture of every part."""
    assets, config, catalog = task._assets_of("train"), task.config, task.catalogs["train"]
    specs = [sample_scene(config, catalog, rng_for(0, "composite", "train", n), index=n) for n in pictures]
    layouts = [settle(lay_out(spec, assets), config.labels) for spec in specs]
    belt = assets.belt("belt", SIZE_WH)
    images = [paint(layout, assets) for layout in layouts]

    def each(layout: Any, work: Callable[[Any, Any], Any]) -> None:
        for placement, patch in zip(layout.spec.placements, layout.patches, strict=True):
            work(placement, patch)

    def facts(placement: Any) -> CropFacts:
        return assets.facts(placement.crop_id)

    def warp_one(placement: Any, _: Any) -> None:
        warp(placement, facts(placement), assets.level(placement.crop_id, level_for(placement.scale)))

    canvas = belt.image_rgb.copy()
    light = specs[0].light

    def draw(placement: Any, patch: Any) -> None:
        lay_over(canvas, patch.rgb, patch.alpha, (patch.x0, patch.y0), shadows[id(patch)])

    shadows = {
        id(patch): cast_shadow(patch, placement, 1.0, light)
        for layout in layouts
        for placement, patch in zip(layout.spec.placements, layout.patches, strict=True)
    }
    sample = lambda n: sample_scene(config, catalog, rng_for(0, "composite", "train", n), index=n)  # noqa: E731
    table: dict[str, Callable[[int], Any]] = {
        "sample": sample,
        "warp": lambda n: each(layouts[n], warp_one),
        "visible parts": lambda n: visible_parts(layouts[n].patches, SIZE_WH[::-1]),
        "light": lambda n: each(layouts[n], lambda p, q: fit_light(q, p, facts(p), belt, layouts[n].spec.look)),
        "soft edge": lambda n: each(layouts[n], lambda p, q: soft_edge(q.alpha, p.feather_px)),
        "shadow": lambda n: each(layouts[n], lambda p, q: cast_shadow(q, p, 1.0, light)),
        "blend": lambda n: each(layouts[n], draw),
        "camera": lambda n: expose(images[n], specs[n].camera),
        "RLE": lambda n: [rle_of_part(v.part, *v.box_xyxy[:2], SIZE_WH) for v in layouts[n].visible],
        "JPEG encode": lambda n: encode_jpeg(images[n], 95),
    }
    return {name: cpu_ms(work, range(len(pictures))) for name, work in table.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="key=value")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    share = ITEM_PX / SIZE_WH[1]
    settings = [f"scale.image_fraction=[{0.9 * share}, {1.1 * share}]", "camera.jpeg_quality=[95, 95]"]
    config = load_config(CompositeConfig, None, settings + options.overrides)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, np.random.default_rng(1))
        task = prepare(folder, config)
        for number in range(20):
            task(("train", number))
        start = time.process_time()
        for number in range(options.pictures):
            task(("train", number))
        picture_ms = 1000 * (time.process_time() - start) / options.pictures
        parts = parts_ms(task, range(min(options.pictures, 60)))
        records = sorted((folder / "out" / ".records" / "train").iterdir())
        labels = statistics.mean(len(json.loads(path.read_text())["annotations"]) for path in records)
    result = {
        "pictures_per_cpu_s": round(1000 / picture_ms, 1),
        "cpu_ms_per_picture": round(picture_ms, 2),
        "jpeg_encodes_per_picture": round(picture_ms / parts["JPEG encode"], 2),
        "annotations_per_picture": round(labels, 2),
        "parts_ms": {name: round(value, 2) for name, value in parts.items()},
        "machine": f"{platform.machine()} opencv {cv2.__version__} numpy {np.__version__}",
    }
    if options.json:
        print(json.dumps(result, sort_keys=True))
        return
    print(
        f"{result['pictures_per_cpu_s']} pictures per CPU second ({picture_ms:.1f} ms each, {labels:.1f} labels each),"
    )
    print(f"{result['jpeg_encodes_per_picture']} times one JPEG encode; {result['machine']}")
    for part, value in parts.items():
        print(f"  {part:14} {value:6.2f} ms")
    rest = picture_ms - sum(parts.values())
    print(f"  {'rest':14} {rest:6.2f} ms  (files, JSON, copies)")


if __name__ == "__main__":
    main()
