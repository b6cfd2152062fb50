"""python -m sample_data.render: renders the committed sample set, or any number of labelled frames more."""

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
    parser.add_argument("--size", type=_size, default=(640, 480), metavar="WxH", help="frame size, 4:3 (640x480)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where; continued if begun before")
    parser.add_argument(
        "--seed", type=int, default=1, help="items and scenes of --frames; never those of the committed set"
    )
    parser.add_argument("--samples", type=int, default=16, help="paths per pixel before denoising (16)")
    arguments = parser.parse_args()
    if arguments.committed == bool(arguments.frames) or (arguments.frames and arguments.out is None):
        parser.error("either --committed, or --frames N --out DIR")
    quality = studio.RenderQuality(samples=arguments.samples)
    if arguments.committed:
        render_committed(arguments.out or SAMPLE_DATA, quality)
    else:
        frames = FrameSet(
            name="extra",
            individuals=f"extra-{arguments.seed}",
            size_wh=arguments.size,
            seed=arguments.seed,
            pool_per_category=max(40, arguments.frames // 8),
            quality=quality,
        )
        dataset.write_frames(arguments.out, frames, arguments.frames)


def render_committed(out: Path, quality: studio.RenderQuality) -> None:
    """The whole sample set under `out`; photos, train and test frames show three disjoint sets of individuals."""
    individuals = [Individual("crops", category, n) for category in CATEGORIES for n in range(PHOTOS_PER_CATEGORY)]
    dataset.write_belts(out / "belts", seed=0, count=BELTS, size_wh=(1280, 960), quality=quality)
    dataset.write_photos(out, individuals, size_wh=(800, 600), quality=quality)
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
