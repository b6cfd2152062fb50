"""python -m sample_data.render: renders the committed sample set, or any number of labelled frames or photos more."""

import argparse
import shutil
from pathlib import Path

from sample_data.render import dataset, studio
from sample_data.render.frames import FrameSet
from sample_data.render.individuals import Individual
from sample_data.render.items import CATEGORIES
from sample_data.render.sheet import write_sheet

SAMPLE_DATA = Path(__file__).resolve().parents[1]
PHOTOS_PER_CATEGORY = 10
TRAIN_FRAMES, TEST_FRAMES, BELTS = 80, 40, 8


def main() -> None:
    """Parses the command line and renders; an interrupted call goes on where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m sample_data.render", description=__doc__)
    parser.add_argument("--committed", action="store_true", help="the set that is in the repository, into sample_data/")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="this many labelled frames into --out")
    parser.add_argument(
        "--photos",
        type=int,
        default=0,
        metavar="N",
        help=f"photos and crops of N items a class into --out; the first {PHOTOS_PER_CATEGORY} are the committed ones",
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="picture size, 4:3 (frames 640x480, photos 800x600)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where; continued if begun before")
    parser.add_argument(
        "--seed", type=int, default=1, help="items and scenes of --frames; never those of the committed set"
    )
    parser.add_argument("--samples", type=int, default=16, help="paths per pixel before denoising (16)")
    arguments = parser.parse_args()
    if [arguments.committed, arguments.frames > 0, arguments.photos > 0].count(True) != 1 or (
        arguments.out is None and not arguments.committed
    ):
        parser.error("one of --committed, --frames N --out DIR, --photos N --out DIR")
    quality = studio.RenderQuality(samples=arguments.samples)
    if arguments.committed:
        render_committed(arguments.out or SAMPLE_DATA, quality)
    elif arguments.photos:
        size_wh = arguments.size or (800, 600)
        dataset.write_photos(arguments.out, photographed(arguments.photos), size_wh=size_wh, quality=quality)
    else:
        frames = FrameSet(
            name="extra",
            individuals=f"extra-{arguments.seed}",
            size_wh=arguments.size or (640, 480),
            seed=arguments.seed,
            pool_per_category=max(40, arguments.frames // 8),
            quality=quality,
        )
        dataset.write_frames(arguments.out, frames, arguments.frames)


def photographed(per_category: int) -> list[Individual]:
    """The items of the photos and crops, `per_category` of each class, the first of every class before any second."""
    return [Individual("crops", category, number) for number in range(per_category) for category in CATEGORIES]


def render_committed(out: Path, quality: studio.RenderQuality) -> None:
    """The whole sample set under `out`; photos, train and test frames show three disjoint sets of individuals."""
    dataset.write_belts(out / "belts", seed=0, count=BELTS, size_wh=(1280, 960), quality=quality)
    dataset.write_photos(out, photographed(PHOTOS_PER_CATEGORY), size_wh=(800, 600), quality=quality)
    for name, count, pool in (("train", TRAIN_FRAMES, 40), ("test", TEST_FRAMES, 24)):
        frames = FrameSet(
            name=name, individuals=name, size_wh=(640, 480), seed=0, pool_per_category=pool, quality=quality
        )
        dataset.write_frames(out / "real", frames, count)
    write_sheet(out)
    for folder in (out, out / "real"):
        shutil.rmtree(folder / dataset.PARTS)  # all is there: the next call renders anew


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 640x480") from None
    if size[0] * 3 != size[1] * 4 or size[0] < 64:
        raise argparse.ArgumentTypeError(
            f"{text} is not 4:3 or too small; the camera's picture is 4:3, for example 960x720"
        )
    return size


if __name__ == "__main__":
    main()
