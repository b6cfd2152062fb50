"""One tool at work, in a Python that has it: `vs_peers.py` starts this file once per tool and reads its last line.

    python peer_runners.py WAY '{"inputs": ..., "items": 8, ...}' PICTURES [key=value ...]

Inputs hold crops/<class>/*.png and belts/belt.jpg; pictures are written below the working directory. Only what is
imported inside a runner has to be installed, so the file runs in the environment of any of them.
"""

import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

WARM_UP = 14

Sizes = Iterable[tuple[float, float]]
"""(width, height) of the box of every labelled item; counted when iterated, which is after the clock."""
Make = Callable[[Path, int], Sizes]
"""(empty folder, number of pictures) -> the sizes of what lies in them."""


@dataclass(frozen=True)
class Work:
    """What every tool is asked for."""

    inputs: Path
    items: int
    item_px: int
    size_wh: tuple[int, int]

    @property
    def belt(self) -> Path:
        """The one belt."""
        return self.inputs / "belts" / "belt.jpg"

    @property
    def crops(self) -> dict[str, list[Path]]:
        """The crops of each class."""
        return {path.name: sorted(path.glob("*.png")) for path in sorted((self.inputs / "crops").iterdir())}

    def side_px(self, number: random.Random) -> float:
        """The longer side of one item."""
        return self.item_px * number.uniform(0.9, 1.1)


@dataclass(frozen=True)
class Runner:
    """A tool made ready; `reads` are the files that it opens again for every picture."""

    make: Make
    reads: tuple[Path, ...] = ()


def garbage_synth(work: Work, *overrides: str) -> Runner:
    """Ours: the task that `composite` runs, on the settings of a user, but for the size of the items."""
    from composite_speed import prepare

    from garbage_synth.config.base import load_config
    from garbage_synth.config.composite import CompositeConfig

    share = work.item_px / min(work.size_wh)
    settings = [f"scale.image_fraction=[{0.9 * share}, {1.1 * share}]", *overrides]
    task = prepare(work.inputs, load_config(CompositeConfig, None, settings))

    def make(out: Path, pictures: int) -> Sizes:
        here = replace(task, out=out)  # shares the cached pixels
        for number in range(pictures):
            here(("train", number))
        records = (json.loads(path.read_text()) for path in out.glob(".records/train/*"))
        return ((float(a["bbox"][2]), float(a["bbox"][3])) for record in records for a in record["annotations"])

    return Runner(make)


def syndatagenyolo(work: Work, blend: str) -> Runner:
    """SynDataGenYOLO's generator, one blend."""
    from syndatagenyolo import data_generation as generation

    class ExactCount:
        """`random`, but for the draw of how many items a picture gets."""

        def __getattr__(self, name: str) -> Any:
            return getattr(random, name)

        def randint(self, low: int, high: int) -> int:
            return high if (low, high) == (1, work.items) else random.randint(low, high)

    generation.random = ExactCount()
    tree = Path("tree").resolve()
    tree.mkdir()
    (tree / "foregrounds").symlink_to(work.inputs / "crops")
    (tree / "backgrounds").symlink_to(work.inputs / "belts")
    (tree / "classes.yaml").write_text(json.dumps({"names": list(work.crops)}))
    share = work.item_px / min(work.size_wh)

    def make(out: Path, pictures: int) -> Sizes:
        generator = generation.SyntheticImageGenerator(
            input_dir=str(tree),
            output_dir=str(out),
            image_number=pictures,
            max_objects_per_image=work.items,
            image_width=work.size_wh[0],
            image_height=work.size_wh[1],
            parallelize=False,
            scaling_config=generation.ScalingConfig(factors=(0.9 * share, 1.1 * share)),
            blending_config=generation.BlendingConfig(methods=[generation.BlendingMode(blend)]),
            class_map_path=str(tree / "classes.yaml"),
        )
        for number in range(pictures):  # generate_images() of this version makes every picture twice in one process
            generator._generate_image(number)
        return yolo_sizes(out, work.size_wh)

    return Runner(make, _all_files(work))


def mdetsyn(work: Work) -> Runner:
    """mdetsyn's own command line, its effects on their defaults."""
    from mdetsyn import detsyn

    share = work.item_px / min(work.size_wh)
    crops = sum(map(len, work.crops.values()))

    def make(out: Path, pictures: int) -> Sizes:
        rounds = max(1, round(pictures / crops)) * work.items  # each crop so often: all pictures are full
        options = {
            "backgrounds": work.inputs / "belts",
            "objects": work.inputs / "crops",
            "savename": out,
            "number": rounds,
            "class_mapping": out / "classes.json",
            "min_object_per_image": work.items,
            "max_object_per_image": work.items,
            "resize_min_ratio": 0.9 * share,
            "resize_max_ratio": 1.1 * share,
        }
        sys.argv[1:] = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        detsyn.run_synthesis(detsyn.create_args())
        return yolo_sizes(out, work.size_wh)

    return Runner(make, _all_files(work))


def cpauger(work: Work, places: str) -> Runner:
    """cpauger's pasting of crops in memory; `places`: "own", or "roomy" where items keep their size."""
    from cpauger import paste_obj

    if places == "roomy":
        paste_obj.get_paste_location_coordinate = lambda sample_location_randomly, dest_w, dest_h: (
            random.randint(0, dest_w - work.item_px),
            random.randint(0, dest_h - work.item_px),
            dest_w,
            dest_h,
        )
    crops = {name: [_hard(path) for path in paths] * 2 for name, paths in work.crops.items()}  # draws without return
    count = dict.fromkeys(crops, work.items // len(crops))

    def make(out: Path, pictures: int) -> Sizes:
        belts = [out / f"{number:06d}.jpg" for number in range(pictures)]  # the picture takes the name of its belt
        for path in belts:
            path.symlink_to(work.belt)
        paste_obj.paste_crops_on_bkgs(
            [str(path) for path in belts],
            crops,
            count,
            str(out / "made"),
            str(out / "coco.json"),
            resize_width=work.item_px,
            resize_height=work.item_px,
        )
        for path in belts:
            path.unlink()
        return ((a["bbox"][2], a["bbox"][3]) for a in json.loads((out / "coco.json").read_text())["annotations"])

    return Runner(make, (work.belt,))


def overlay_elements(work: Work) -> Runner:
    """Albumentations' OverlayElements, in the loop that its user writes."""
    import albumentations

    transform = albumentations.Compose([albumentations.OverlayElements(p=1)])
    belt, crops, draw = cv2.imread(str(work.belt)), _all_crops(work), random.Random(1)
    width, height = work.size_wh

    def element(number: int) -> dict[str, Any]:
        crop = draw.choice(crops)
        scale = work.side_px(draw) / max(crop.shape[:2])
        w, h = crop.shape[1] * scale / width, crop.shape[0] * scale / height
        x, y = draw.uniform(0, 1 - w), draw.uniform(0, 1 - h)
        return {"image": crop[..., :3], "mask": crop[..., 3], "bbox": [x, y, x + w, y + h], "mask_id": number}

    def make(out: Path, pictures: int) -> Sizes:
        masks = []
        for number in range(pictures):
            elements = [element(item) for item in range(1, work.items + 1)]
            nothing = np.zeros((height, width), np.uint8)  # is written on
            made = transform(image=belt, mask=nothing, overlay_metadata=elements)
            cv2.imwrite(str(out / f"{number:06d}.jpg"), made["image"])
            masks.append(made["mask"])
        parts = ((mask == item).astype(np.uint8) for mask in masks for item in np.unique(mask) if item)
        return ((width, height) for _, _, width, height in map(cv2.boundingRect, parts))

    return Runner(make)


def copy_and_paste(work: Work, blend: str) -> Runner:
    """AlbumentationsX' CopyAndPaste, in the loop that its user writes."""
    import albumentations

    transform = albumentations.Compose(
        [albumentations.CopyAndPaste(p=1, blend_mode=blend)],
        bbox_params=albumentations.BboxParams(coord_format="pascal_voc", label_fields=["labels"]),
    )
    belt, crops, draw = cv2.imread(str(work.belt)), _all_crops(work), random.Random(1)
    no_masks, no_boxes = np.zeros((0, *work.size_wh[::-1]), np.uint8), np.zeros((0, 4), np.float32)

    def item() -> dict[str, Any]:
        crop = draw.choice(crops)
        scale = work.side_px(draw) / max(crop.shape[:2])
        small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        mask = (small[..., 3] > 127).astype(np.uint8)
        return {"image": np.ascontiguousarray(small[..., :3]), "mask": mask, "bbox_labels": {"labels": 1}}

    def make(out: Path, pictures: int) -> Sizes:
        boxes = []
        for number in range(pictures):
            items = [item() for _ in range(work.items)]
            made = transform(image=belt, masks=no_masks, bboxes=no_boxes, labels=[], copy_paste_metadata=items)
            cv2.imwrite(str(out / f"{number:06d}.jpg"), made["image"])
            boxes.extend(made["bboxes"])
        return ((float(x1 - x0), float(y1 - y0)) for x0, y0, x1, y1 in boxes)

    return Runner(make)


RUNNERS: dict[str, Callable[..., Runner]] = {
    "ours": garbage_synth,
    "syndatagenyolo alpha": partial(syndatagenyolo, blend="ALPHA"),
    "syndatagenyolo gaussian": partial(syndatagenyolo, blend="GAUSSIAN"),
    "mdetsyn": mdetsyn,
    "cpauger own": partial(cpauger, places="own"),
    "cpauger roomy": partial(cpauger, places="roomy"),
    "overlay": overlay_elements,
    "copy hard": partial(copy_and_paste, blend="hard"),
    "copy gaussian": partial(copy_and_paste, blend="gaussian"),
}


def yolo_sizes(out: Path, size_wh: tuple[int, int]) -> Iterator[tuple[float, float]]:
    """The sizes in pixels from YOLO label files."""
    for path in sorted(out.glob("labels/*.txt")):
        for line in path.read_text().splitlines():
            width, height = map(float, line.split()[3:5])
            yield width * size_wh[0], height * size_wh[1]


def reading_ms(work: Work, reads: tuple[Path, ...]) -> float:
    """CPU milliseconds to decode one belt and `items` crops, as far as they are among the files read."""
    crops = [path for path in reads if path != work.belt]
    order = [work.belt] * (work.belt in reads) + [crops[n % len(crops)] for n in range(work.items) if crops]
    start = time.process_time()
    for _ in range(5):
        for path in order:
            Image.open(path).load()
    return 1000 * (time.process_time() - start) / 5


def _all_files(work: Work) -> tuple[Path, ...]:
    return (work.belt, *(path for paths in work.crops.values() for path in paths))


def _all_crops(work: Work) -> list[Any]:
    return [_hard(path) for paths in work.crops.values() for path in paths]


def _hard(path: Path) -> Any:
    """The crop with an outline that is there or not, for tools that know no other."""
    crop: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    crop[..., 3] = np.where(crop[..., 3] > 127, 255, 0)
    return crop


def main() -> None:
    """Warm up, make the pictures, and print the measurement as a line of JSON."""
    way, work_json, pictures, *overrides = sys.argv[1:]
    told = json.loads(work_json)
    work = Work(Path(told["inputs"]), told["items"], told["item_px"], tuple(told["size_wh"]))
    cv2.setNumThreads(1)
    random.seed(1)
    np.random.seed(1)
    with open(os.devnull, "w") as silence, contextlib.redirect_stdout(silence):
        runner = RUNNERS[way](work, *overrides)
        warm, out = Path("warm").resolve(), Path("out").resolve()
        warm.mkdir()
        out.mkdir()
        runner.make(warm, WARM_UP)
        start = time.process_time()
        sizes = runner.make(out, int(pictures))
        cpu_s = time.process_time() - start
    made = sum(1 for _ in out.rglob("*.jpg"))
    longest = [max(size) for size in sizes]
    measured = {
        "pictures": made,
        "cpu_ms": 1000 * cpu_s / made,
        "reading_ms": reading_ms(work, runner.reads) if runner.reads else 0.0,
        "items": len(longest) / made,
        "item_px": sum(longest) / max(1, len(longest)),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
