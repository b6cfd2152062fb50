"""How many labelled pictures a CPU second makes: 1280x720, 8 items of about 280 px, JPEG file written, one thread.

    python benchmarks/composite_speed.py [--preset fast] [--pictures 200] [--set key=value ...] [--json]

Crops and belt are made here, so the numbers need no data. Everything is cached before the clock starts. CPU time is
counted, not wall time, so that neighbours on the machine disturb little. Printed beside the rate: the cost of each
part, the ratios to the bare OpenCV calls and to one JPEG encode measured in the same run, which carry over to other
machines better than the rate does, and how two workers compare with two independent processes (wall time: wants a
quiet machine).
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from garbage_synth.composite.annotate import polygons_of_part, rle_of_part, visible_parts
from garbage_synth.composite.belt import fit_belt
from garbage_synth.composite.blend import edge, lay_over
from garbage_synth.composite.cutout import CropFacts, level_for
from garbage_synth.composite.render import lay_out, paint, settle
from garbage_synth.composite.sample import Catalog, sample_scene
from garbage_synth.composite.scale import scale_rule
from garbage_synth.composite.scene import Placement
from garbage_synth.composite.sensor import expose
from garbage_synth.composite.shade import cast_shadow, fit_light
from garbage_synth.composite.warp import Patch, warp
from garbage_synth.config.base import load_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.config.presets import PRESETS
from garbage_synth.core.rng import rng_for
from garbage_synth.io.atomic import write_bytes
from garbage_synth.io.catalog import load_backgrounds, load_crops
from garbage_synth.io.images import encode_jpeg, encode_png
from garbage_synth.run.local import map_unordered
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
    catalog = Catalog(grouped, views, dict.fromkeys(grouped, 1 / len(grouped)), 2**62, (ITEMS, ITEMS), rule)
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
    """Median CPU milliseconds per picture of every part; in brackets what is done only where it is asked for."""
    assets, config, catalog = task._assets_of("train"), task.config, task.catalogs["train"]
    specs = [sample_scene(config, catalog, rng_for(0, "composite", "train", n), index=n) for n in pictures]
    layouts = [settle(lay_out(spec, assets), config.labels) for spec in specs]
    belt = assets.belt("belt", SIZE_WH)
    images = [paint(layout, assets) for layout in layouts]
    canvas = belt.image_rgb.copy()
    light = specs[0].light
    shadows = {
        id(patch): cast_shadow(patch, placement, 1.0, light)
        for layout in layouts
        for placement, patch in zip(layout.spec.placements, layout.patches, strict=True)
    }

    def each(work: Callable[[Placement, Patch], Any]) -> Callable[[int], Any]:
        """work for every item of picture n."""

        def picture(n: int) -> None:
            for placement, patch in zip(layouts[n].spec.placements, layouts[n].patches, strict=True):
                work(placement, patch)

        return picture

    def warp_one(placement: Placement, _: Patch) -> None:
        facts = assets.facts(placement.crop_id)
        warp(placement, facts, assets.level(placement.crop_id, level_for(placement.scale)))

    def light_one(placement: Placement, patch: Patch) -> None:
        fit_light(patch, placement, assets.facts(placement.crop_id), belt, specs[0].look)

    def draw_one(placement: Placement, patch: Patch) -> None:
        lay_over(canvas, patch.rgb, patch.alpha, (patch.x0, patch.y0), shadows[id(patch)], placement.blend)

    table: dict[str, Callable[[int], Any]] = {
        "sample": lambda n: sample_scene(config, catalog, rng_for(0, "composite", "train", n), index=n),
        "warp": each(warp_one),
        "visible parts": lambda n: visible_parts(layouts[n].patches, SIZE_WH[::-1]),
        "light": each(light_one),
        "edge": each(lambda placement, patch: edge(patch, placement.blend, placement.feather_px)),
        "shadow": each(lambda placement, patch: cast_shadow(patch, placement, 1.0, light)),
        "blend": each(draw_one),
        "camera": lambda n: expose(images[n], specs[n].camera),
        "(polygons)": lambda n: [polygons_of_part(v.part, *v.box_xyxy[:2]) for v in layouts[n].visible],
        "RLE": lambda n: [rle_of_part(v.part, *v.box_xyxy[:2], SIZE_WH) for v in layouts[n].visible],
        "JPEG encode": lambda n: encode_jpeg(images[n], 95),
    }
    return {name: cpu_ms(work, range(len(pictures))) for name, work in table.items()}


def primitives_ms() -> float:
    """CPU milliseconds of the bare OpenCV calls that no compositor can do without, on arrays of the same sizes."""
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 255, (90, 160, 3), dtype=np.uint8), SIZE_WH, interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 255, frame.shape, dtype=np.uint8)
    crop = rng.integers(0, 255, (CROP_PX, CROP_PX, 4), dtype=np.uint8)
    scale = ITEM_PX / CROP_PX
    matrix, side = np.array([[scale, 0.02, 1], [-0.02, scale, 1]]), (ITEM_PX, ITEM_PX)

    def item(canvas: Any) -> None:
        patch = cv2.warpAffine(crop, matrix, side)
        rgb, alpha = cv2.cvtColor(patch, cv2.COLOR_RGBA2RGB), cv2.extractChannel(patch, 3)
        alpha = cv2.min(alpha, cv2.GaussianBlur(alpha, (5, 5), 0.8))
        small = cv2.resize(alpha, (ITEM_PX // 4, ITEM_PX // 4), interpolation=cv2.INTER_AREA)
        shadow = cv2.resize(cv2.GaussianBlur(small, (15, 15), 3), side)
        region = canvas[100 : 100 + ITEM_PX, 100 : 100 + ITEM_PX]
        cv2.multiply(region, cv2.cvtColor(cv2.bitwise_not(shadow), cv2.COLOR_GRAY2RGB), dst=region, scale=1 / 255)
        cv2.multiply(region, cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2RGB), dst=region, scale=1 / 255)
        cv2.add(region, cv2.multiply(rgb, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255), dst=region)
        coco_mask.encode(np.asfortranarray(alpha > 127, np.uint8))

    def picture(_: int) -> None:
        canvas = frame.copy()
        for _ in range(ITEMS):
            item(canvas)
        canvas = cv2.addWeighted(canvas, 1, noise, 0.05, -6)
        cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 95])

    return cpu_ms(picture, range(60))


def rate_ms(task: MakePicture, pictures: int) -> float:
    """CPU milliseconds per picture of the whole work, files written, after everything is cached."""
    for number in range(20):
        task(("train", number))
    start = time.process_time()
    for number in range(pictures):
        task(("train", number))
    return 1000 * (time.process_time() - start) / pictures


def _alone(folder: Path, config: CompositeConfig, pictures: int, ready: Any, out: Any) -> None:
    """One of two independent processes: makes its pictures and tells how long that took."""
    cv2.setNumThreads(1)
    task = prepare(folder, config)
    for number in range(20):
        task(("train", number))
    ready.wait()
    start = time.perf_counter()
    for number in range(pictures):
        task(("train", number))
    out.put(time.perf_counter() - start)


def scaling(folder: Path, config: CompositeConfig, pictures: int) -> dict[str, float]:
    """Pictures per second of two workers, of two processes that know nothing of each other, and their ratio."""
    context = multiprocessing.get_context("spawn")
    ready, out = context.Barrier(2), context.Queue()
    pair = [
        context.Process(target=_alone, args=(folder / name, config, pictures, ready, out)) for name in ("one", "two")
    ]
    for name in ("one", "two"):
        make_inputs(folder / name, np.random.default_rng(1))
    for process in pair:
        process.start()
    took = max(out.get() for _ in pair)
    for process in pair:
        process.join()
    task = prepare(folder, config)
    units = [("train", number) for number in range(2 * pictures + 40)]
    start = 0.0
    for done, _ in enumerate(map_unordered(task, units, workers=2), 1):
        if done == 40:  # the workers have started and filled their caches
            start = time.perf_counter()
    pool = time.perf_counter() - start
    return {
        "two_workers_per_s": round(2 * pictures / pool, 1),
        "two_processes_per_s": round(2 * pictures / took, 1),
        "ratio": round(took / pool, 3),
    }


def measure(folder: Path, preset: str, overrides: Sequence[str], pictures: int, primitives: float) -> dict[str, Any]:
    """The figures of one preset."""
    share = ITEM_PX / SIZE_WH[1]
    settings = [
        f"preset={preset}",
        f"scale.image_fraction=[{0.9 * share}, {1.1 * share}]",
        "camera.jpeg_quality=[95, 95]",
    ]
    config = load_config(CompositeConfig, None, [*settings, *overrides])
    task = prepare(folder, config)
    picture_ms = rate_ms(task, pictures)
    parts = parts_ms(task, range(min(pictures, 60)))
    records = sorted((folder / "out" / ".records" / "train").iterdir())
    labels = statistics.mean(len(json.loads(path.read_text())["annotations"]) for path in records)
    return {
        "pictures_per_cpu_s": round(1000 / picture_ms, 1),
        "cpu_ms_per_picture": round(picture_ms, 2),
        "jpeg_encodes_per_picture": round(picture_ms / parts["JPEG encode"], 2),
        "ratio_to_primitives": round(picture_ms / primitives, 2),
        "annotations_per_picture": round(labels, 2),
        "parts_ms": {name: round(value, 2) for name, value in parts.items()},
        **({"scaling": scaling(folder, config, pictures)} if os.cpu_count() != 1 else {}),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--preset", action="append", choices=list(PRESETS), help="repeatable; default: fast, default")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="key=value")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    primitives = primitives_ms()
    presets: dict[str, Any] = {}
    for preset in options.preset or ["fast", "default"]:
        with tempfile.TemporaryDirectory() as name:
            make_inputs(Path(name), np.random.default_rng(1))
            presets[preset] = measure(Path(name), preset, options.overrides, options.pictures, primitives)
    machine = f"{platform.machine()} opencv {cv2.__version__} numpy {np.__version__}"
    if options.json:
        print(json.dumps({"machine": machine, "presets": presets, "primitives_ms": round(primitives, 2)}))
        return
    print(f"{machine}; the bare OpenCV calls take {primitives:.1f} ms")
    for preset, result in presets.items():
        print(
            f"\n{preset}: {result['pictures_per_cpu_s']} pictures per CPU second ({result['cpu_ms_per_picture']} ms, "
            f"{result['annotations_per_picture']} labels each), {result['ratio_to_primitives']} times the bare calls, "
            f"{result['jpeg_encodes_per_picture']} JPEG encodes"
        )
        if "scaling" in result:
            print(
                "  two workers {two_workers_per_s}/s, two processes {two_processes_per_s}/s: {ratio}".format_map(
                    result["scaling"]
                )
            )
        for part, value in result["parts_ms"].items():
            print(f"  {part:14} {value:6.2f} ms")
        rest = result["cpu_ms_per_picture"] - sum(ms for part, ms in result["parts_ms"].items() if part[0] != "(")
        print(f"  {'rest':14} {rest:6.2f} ms  (files, JSON, copies)")


if __name__ == "__main__":
    main()
