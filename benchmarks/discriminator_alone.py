"""Can a discriminator tell two sets of pictures apart, when nobody works against it?

    python benchmarks/discriminator_alone.py SET/images/train sample_data/real/images/train --norm instance
    python benchmarks/discriminator_alone.py SET/images/train sample_data/real/images/train --norm spectral

Trains one on crops of the first four fifths of each folder and prints its AUC on crops of the last: 0.5 is blind, 1 is
sure. What it cannot see, no generator learns from it.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from garbage_synth.gan.losses import discriminator_loss
from garbage_synth.gan.networks import PatchDiscriminator, init_weights
from garbage_synth.gan.pixels import to_signed
from garbage_synth.io.images import read_rgb

LOOKS = 6
HELD_OUT_CROPS = 160


def pictures(folder: Path, short_px: int, limit: int = 200) -> list[NDArray[np.uint8]]:
    """The first pictures of a folder, brought to short_px on the shorter side."""
    found = []
    for path in sorted(folder.glob("*"))[:limit]:
        picture = read_rgb(path)
        scale = short_px / min(picture.shape[:2])
        found.append(np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8))
    return found


def crops(images: list[NDArray[np.uint8]], count: int, side: int, rng: np.random.Generator) -> torch.Tensor:
    """float32 (count, 3, side, side) in [-1, 1], half of them mirrored."""
    cut = []
    for _ in range(count):
        image = images[rng.integers(len(images))]
        y, x = (int(rng.integers(size - side + 1)) for size in image.shape[:2])
        cut.append(image[y : y + side, x : x + side][:, :: int(rng.choice([-1, 1]))])
    return to_signed(torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2))


def main() -> None:
    """Train and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("real", type=Path)
    parser.add_argument("--norm", choices=("instance", "spectral"), default="instance")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--short", type=int, default=192)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = [pictures(folder, options.short) for folder in (options.synthetic, options.real)]
    shown, held_out = zip(*((own[: len(own) * 4 // 5], own[len(own) * 4 // 5 :]) for own in sets), strict=True)
    rng = np.random.default_rng(options.seed)
    judge = PatchDiscriminator(options.channels, options.norm)
    init_weights(judge, torch.Generator().manual_seed(options.seed))
    adam = torch.optim.Adam(judge.parameters(), options.learning_rate, betas=(0.5, 0.999))
    losses = []
    for step in range(1, options.steps + 1):
        synthetic, real = (crops(own, options.batch, options.crop, rng) for own in shown)
        loss = discriminator_loss(judge, real, synthetic)
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        losses.append(loss.item())
        if step % max(1, options.steps // LOOKS) == 0:
            judge.eval()
            with torch.inference_mode():
                low, high = (
                    judge(crops(own, HELD_OUT_CROPS, options.crop, rng)).mean((1, 2, 3)).numpy() for own in held_out
                )
            judge.train()
            auc = np.mean(high[:, None] > low)
            recent = np.mean(losses[-options.steps // LOOKS :])
            print(f"{options.norm}, {step} steps: loss {recent:.3f}, held-out AUC {auc:.3f}", flush=True)


if __name__ == "__main__":
    main()
