"""How long `refine` takes for a picture, against the loop that one writes first: 1280x720, ResNet-9, 64 channels.

    python benchmarks/refine_speed.py [--pictures 4] [--channels 64] [--precision bf16] [--device cpu] [--json]

The plain loop reads with OpenCV, runs the network in float32 as PyTorch comes (gradients on), one picture after the
other, and writes JPEG; it checks nothing. `refine` checks every label too; its cost is printed. Both in one run, on
composites of sample_data/, with an untrained generator: its arithmetic takes as long as that of a trained one.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from garbage_synth.api import composite, refine
from garbage_synth.gan.generator_file import GeneratorCard, generator_file_name, save_generator
from garbage_synth.gan.networks import ResnetGenerator, init_weights

ROOT = Path(__file__).resolve().parents[1]


def plain_loop(dataset: Path, network: ResnetGenerator, device: str, out: Path) -> float:
    """Seconds for all pictures of the train split."""
    network = network.to(device)
    pictures = sorted((dataset / "images" / "train").iterdir())
    out.mkdir()
    start = time.perf_counter()
    for path in pictures:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        signed = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        made = ((network(signed)[0].detach().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        cv2.imwrite(str(out / path.name), cv2.cvtColor(np.ascontiguousarray(made), cv2.COLOR_RGB2BGR))
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    card = GeneratorCard("resnet9", options.channels, "synthetic-to-real", None, 256, 0, False)
    network = card.spec.build()
    init_weights(network, torch.Generator().manual_seed(0), 0.02)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / generator_file_name("synthetic-to-real", "raw")
        save_generator(weights, network, card)
        crops, belts = ROOT / "sample_data" / "crops", ROOT / "sample_data" / "belts"
        composite(
            crops, belts, folder / "set", count=options.pictures, size=(1280, 720), items=(8, 8), val_fraction=0.0
        )
        plain_s = plain_loop(folder / "set", network, options.device, folder / "plain")
        start = time.perf_counter()
        summary = refine(
            folder / "set", weights, folder / "out", device=options.device, precision=options.precision, on_drift="keep"
        )
        ours_s = time.perf_counter() - start
    result = {
        "plain_s_per_picture": round(plain_s / options.pictures, 2),
        "refine_s_per_picture": round(ours_s / options.pictures, 2),
        "ratio": round(plain_s / ours_s, 2),
        "steps_s_per_picture": {
            step: round(seconds / options.pictures, 2) for step, seconds in summary.numbers["step_seconds"].items()
        },
        "device": summary.numbers["device"],
        "machine": f"{platform.machine()} {os.cpu_count()} cores torch {torch.__version__}",
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['machine']}, {result['device']}")
    print(f"plain loop, float32: {result['plain_s_per_picture']} s a picture")
    print(f"refine with its label check: {result['refine_s_per_picture']} s a picture, {result['ratio']} times as fast")
    for step, seconds in summary.numbers["step_seconds"].items():
        print(f"  {step:20} {seconds / options.pictures:6.2f} s")


if __name__ == "__main__":
    main()
