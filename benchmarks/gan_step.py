"""How fast a training step is, against the step of the CycleGAN paper as it is commonly written, in one run.

    python benchmarks/gan_step.py [--device cuda] [--size 256] [--channels 64] [--seconds 6] [--compile] [--json]

The reference: the paper's networks at batch 1, float32 as PyTorch comes (TF32 in convolutions on a GPU), six separate
calls of generators, discriminators that are called apart for genuine and translated pictures and frozen while the
generators learn, one Adam for each side, a pool of 50, kernels started one by one; cuDNN may try its algorithms. Every
other way is measured against it in turns, one round of the reference and one of the way, and the table gives the median
of the rounds' ratios with their range: neighbours on the machine disturb both alike. On a CPU the ratio of CPU seconds
stands beside that of the clock. Levers are laid upon each other one by one ("+") and tried alone. `train-gan` is what
training does, averaged weights included; its `share` is of the arithmetic that a device of --floor-tflops could do.

Also measured: how many pairs of crops a second the loader hands out, to see whether training could ever wait for it.
Prints a Markdown table; adds one line of JSON to --results.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from garbage_synth.compute.device import (
    Acceleration,
    choose_acceleration,
    choose_device,
    choose_precision,
    is_out_of_memory,
)
from garbage_synth.config.gan import GanConfig
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.data import CropStream, Domain, stream_batches
from garbage_synth.gan.graphs import GraphedStep
from garbage_synth.gan.graphs import Step as Update
from garbage_synth.gan.losses import Networks, Weights, discriminator_loss, generator_terms
from garbage_synth.gan.networks import GeneratorName, GeneratorSpec, PatchDiscriminator, init_weights
from garbage_synth.gan.pixels import to_signed
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.replay import ImagePool

ROOT = Path(__file__).resolve().parents[1]
REFERENCE, PRODUCT = "reference", "train-gan"
ROUNDS = (3, 9)
POOL_SIZE = 50
GPU_WARM_UP_STEPS = 20
"""So that every kind of step is recorded before the clock runs, that of mirrored pictures in the 13th too."""

LOADER_SIZE_WH = (1280, 720)

Step = Callable[[Tensor, Tensor], Any]


@dataclass(frozen=True, slots=True)
class Levers:
    """What a way does otherwise than the reference. joint: pictures share calls of a network. start: see device.py."""

    joint: bool = False
    fused: bool = False
    bf16: bool = False
    channels_last: bool = False
    start: Acceleration = "none"
    batch: int = 1
    tf32: bool = True


@dataclass(frozen=True, slots=True)
class Bench:
    """What all ways have in common."""

    device: torch.device
    generator: GeneratorName
    size: int
    channels: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds per pair: by the clock and of all CPU threads."""

    wall: float
    cpu: float


class PaperStep:
    """The paper's step with chosen levers: uint8 (b, 3, s, s) of each domain in, one update of all four networks."""

    def __init__(self, bench: Bench, levers: Levers) -> None:
        self._device, self._levers = bench.device, levers
        self._graphed = bench.device.type == "cuda" and levers.start != "none"
        self._format = torch.channels_last if levers.channels_last else torch.contiguous_format
        generators = [GeneratorSpec(bench.generator, bench.channels).build() for _ in range(2)]
        judges = [PatchDiscriminator(bench.channels) for _ in range(2)]
        rng = torch.Generator().manual_seed(0)
        for network in (*generators, *judges):
            init_weights(network, rng)
            network.to(bench.device, memory_format=self._format)  # type: ignore[call-overload]
            if levers.start == "compile":
                network.compile()
        self._networks = Networks(*generators, *judges)
        self._generator_adam, self._judge_adam = self._adam(*generators), self._adam(*judges)
        self._pools = [(ImagePool(POOL_SIZE), np.random.default_rng(seed)) for seed in range(2)]
        self._update_generators = self._started(self._generator_update)
        self._update_judges = self._started(self._judge_update)

    def __call__(self, synthetic: Tensor, real: Tensor) -> None:
        """Both generators, then both discriminators on pictures from the pools."""
        x, y = (
            to_signed(levels.to(self._device, non_blocking=True)).contiguous(memory_format=self._format)
            for levels in (synthetic, real)
        )
        fakes = self._update_generators(x, y)
        shown = [
            pool.exchange(fake, rng)
            for (pool, rng), fake in zip(self._pools, (fakes["real"], fakes["synthetic"]), strict=True)
        ]
        self._update_judges(x, y, *shown)

    def _generator_update(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        nets = self._networks
        for judge in (nets.judge_real, nets.judge_synthetic):
            judge.requires_grad_(False)
        with self._autocast():
            if self._levers.joint:
                terms = generator_terms(nets, x, y, Weights())
                loss, fake_real, fake_synthetic = terms.total, terms.fake_real, terms.fake_synthetic
            else:
                fake_real, fake_synthetic = nets.to_real(x), nets.to_synthetic(y)
                loss = (
                    _squares(nets.judge_real(fake_real), 1.0)
                    + _squares(nets.judge_synthetic(fake_synthetic), 1.0)
                    + 10.0 * functional.l1_loss(nets.to_synthetic(fake_real), x)
                    + 10.0 * functional.l1_loss(nets.to_real(fake_synthetic), y)
                    + 5.0 * functional.l1_loss(nets.to_real(y), y)
                    + 5.0 * functional.l1_loss(nets.to_synthetic(x), x)
                )
        _descend(self._generator_adam, loss)
        return {"real": fake_real.detach(), "synthetic": fake_synthetic.detach()}

    def _judge_update(self, x: Tensor, y: Tensor, shown_real: Tensor, shown_synthetic: Tensor) -> dict[str, Tensor]:
        nets = self._networks
        for judge in (nets.judge_real, nets.judge_synthetic):
            judge.requires_grad_(True)
        judged = discriminator_loss if self._levers.joint else _judge_loss_apart
        with self._autocast():
            loss = judged(nets.judge_real, y, shown_real) + judged(nets.judge_synthetic, x, shown_synthetic)
        _descend(self._judge_adam, loss)
        return {"loss": loss.detach()}

    def _started(self, update: Update) -> Update:
        return GraphedStep(update, self._device) if self._graphed else update

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._levers.bf16, cache_enabled=not self._graphed
        )

    def _adam(self, *networks: nn.Module) -> torch.optim.Adam:
        parameters = [parameter for network in networks for parameter in network.parameters()]
        fused = True if self._levers.fused else None  # None: as PyTorch comes
        return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999), capturable=self._graphed, fused=fused)


def _squares(verdicts: Tensor, target: float) -> Tensor:
    return functional.mse_loss(verdicts.float(), torch.full_like(verdicts, target, dtype=torch.float32))


def _judge_loss_apart(judge: nn.Module, genuine: Tensor, translated: Tensor) -> Tensor:
    return 0.5 * (_squares(judge(genuine), 1.0) + _squares(judge(translated), 0.0))


def _descend(adam: torch.optim.Adam, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()


def product_step(bench: Bench, acceleration: str) -> Step:
    """The step that training makes, with its defaults for this device."""
    placement = Placement(
        bench.device, choose_precision("auto", bench.device), choose_acceleration(acceleration, bench.device)
    )
    config = GanConfig(base_channels=bench.channels, discriminator_channels=bench.channels)
    gan = CycleGan(GeneratorSpec(bench.generator, bench.channels), config, placement, seed=0)
    numbers = iter(range(2**62))
    return lambda x, y: gan.step(x, y, index=next(numbers), learning_rate=config.learning_rate)


def crops(bench: Bench, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless pairs of batches of random pixels, in memory that a GPU copies from."""
    rng = torch.Generator().manual_seed(1)
    pairs = torch.randint(0, 256, (4, 2, batch, 3, bench.size, bench.size), dtype=torch.uint8, generator=rng)
    return cycle([(x, y) for x, y in (pairs.pin_memory() if bench.device.type == "cuda" else pairs)])


class Way:
    """A step that is ready to be timed."""

    def __init__(self, bench: Bench, step: Step, *, batch: int = 1, tf32: bool = True) -> None:
        self._bench, self._step, self._batch, self._tf32 = bench, step, batch, tf32
        self._pairs = crops(bench, batch)
        on_gpu = bench.device.type == "cuda"
        start = time.perf_counter()
        self._run(GPU_WARM_UP_STEPS if on_gpu else 1)
        self.warm_up_s = time.perf_counter() - start
        # rounds of about half a second, so that neither the clock nor the GPU's queue is seen
        took = self._run(2).wall * batch if on_gpu else 1.0
        self._steps = max(1, round(0.5 / took))

    def round(self) -> Round:
        """Some steps, timed."""
        return self._run(self._steps)

    def _run(self, steps: int) -> Round:
        torch.backends.cudnn.allow_tf32 = self._tf32
        wall, cpu = self._now()
        for _ in range(steps):
            self._step(*next(self._pairs))
        wall_end, cpu_end = self._now()
        pairs = steps * self._batch
        return Round((wall_end - wall) / pairs, (cpu_end - cpu) / pairs)

    def _now(self) -> tuple[float, float]:
        if self._bench.device.type == "cuda":
            torch.cuda.synchronize(self._bench.device)
        return time.perf_counter(), time.process_time()


def compare(bench: Bench, reference: Way, make: Callable[[], Way]) -> dict[str, Any]:
    """One row: a way in turns with the reference; why not, where it cannot run on this machine."""
    try:
        way = make()
        rounds: list[tuple[Round, Round]] = []
        start = time.perf_counter()
        while len(rounds) < ROUNDS[0] or (len(rounds) < ROUNDS[1] and time.perf_counter() - start < bench.seconds):
            rounds.append((reference.round(), way.round()))
    except (RuntimeError, MemoryError, NotImplementedError) as error:
        return {"absent": "memory ran out" if is_out_of_memory(error) else " ".join(str(error).split())[:200]}
    ratios = [theirs.wall / ours.wall for theirs, ours in rounds]
    return {
        "pairs_per_s": 1 / statistics.median(ours.wall for _, ours in rounds),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "cpu_ratio": statistics.median(theirs.cpu / ours.cpu for theirs, ours in rounds),
        "cpu_s_per_pair": statistics.median(ours.cpu for _, ours in rounds),
        "reference_pairs_per_s": 1 / statistics.median(theirs.wall for theirs, _ in rounds),
        "rounds": len(rounds),
        "warm_up_s": way.warm_up_s,
    }


def levers_on(device: torch.device, *, compiling: bool) -> dict[str, dict[str, Any]]:
    """The levers that this device has, by name, in the order in which they are laid upon each other."""
    levers: dict[str, dict[str, Any]] = {"joint calls": {"joint": True}, "fused Adam": {"fused": True}}
    if choose_precision("auto", device) == "bf16":
        levers["bf16"] = {"bf16": True}
    levers["channels_last"] = {"channels_last": True}
    if device.type == "cuda":
        levers["CUDA graphs"] = {"start": "graph"}
    if compiling:
        levers["torch.compile"] = {"start": "compile"}
    return levers


def ways(bench: Bench, batches: list[int], *, compiling: bool) -> dict[str, Callable[[], Way]]:
    """All rows of the table, each made when its turn comes, so that only two ways are in memory."""

    def paper(levers: Levers) -> Callable[[], Way]:
        return lambda: Way(bench, PaperStep(bench, levers), batch=levers.batch, tf32=levers.tf32)

    def product(batch: int, acceleration: str = "auto") -> Callable[[], Way]:
        return lambda: Way(bench, product_step(bench, acceleration), batch=batch)

    table: dict[str, Callable[[], Way]] = {}
    if bench.device.type == "cuda":
        table["strict float32"] = paper(Levers(tf32=False))
    on = levers_on(bench.device, compiling=compiling)
    for name, lever in on.items():
        table[f"{name} alone"] = paper(Levers(**lever))
    for batch in batches[:1]:
        table[f"batch {batch} alone"] = paper(Levers(batch=batch))
    so_far = Levers()
    for name, lever in on.items():
        if name == "channels_last" and bench.device.type == "cpu":
            continue  # not part of what training does there
        so_far = replace(so_far, **lever)
        table[f"+ {name}"] = paper(so_far)
    table[PRODUCT] = product(1)
    if compiling:
        table[f"{PRODUCT}, accelerate=compile"] = product(1, "compile")
    for batch in batches:
        table[f"{PRODUCT}, batch {batch}"] = product(batch)
    return table


def flop_per_pair(bench: Bench) -> float:
    """Arithmetic of one step on one pair, 2 for a multiply-add.

    Six calls of generators forward and backward (twice a forward), both discriminators forward and back to their input
    for the generators, and both on two pictures, forward and backward, for themselves.
    """
    generator, judge = (
        _forward_flop(network, bench.size)
        for network in (
            GeneratorSpec(bench.generator, bench.channels).build(),
            PatchDiscriminator(bench.channels),
        )
    )
    return 6 * 3 * generator + 2 * 2 * judge + 2 * 2 * 3 * judge


def _forward_flop(network: nn.Module, size: int) -> float:
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(torch.empty(1, 3, size, size, device="meta"))
    return float(counter.get_total_flops())


def loader_pairs_per_s(bench: Bench, batch: int, seconds: float = 3.0) -> float:
    """Pairs of crops a second from pictures of 1280x720 that are in memory, by two threads, nothing else going on."""
    pictures = [
        np.random.default_rng(number).integers(0, 256, (*LOADER_SIZE_WH[::-1], 3), dtype=np.uint8)
        for number in range(8)
    ]
    paths = [Path(str(number)) for number in range(200)]
    synthetic, real = (
        CropStream(
            Domain(name, paths, lambda path: pictures[int(path.name) % 8], cache_bytes=2**40),
            crop=bench.size,
            batch=batch,
            flip=True,
            seed=0,
        )
        for name in ("synthetic", "real")
    )
    batches = stream_batches(synthetic, real, range(2**40), threads=2, pin_memory=bench.device.type == "cuda")
    for _ in range(10):
        next(batches)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    pace = count * batch / (time.perf_counter() - start)
    batches.close()
    return pace


def commit() -> str:
    """The commit that is measured, "+" behind it where files differ from it; "unknown" outside a repository."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def device_name(device: torch.device) -> str:
    """The GPU, or the CPU's model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def row_text(name: str, row: dict[str, Any], share: float | None) -> str:
    """One line of the table."""
    if "absent" in row:
        return f"| {name} | did not run: {row['absent']} | | | | | |"
    spread = f"{row['ratio_min']:.2f}-{row['ratio_max']:.2f}"
    shown = "" if share is None else f"{100 * share:.1f} %"
    return (
        f"| {name} | {row['pairs_per_s']:.4g} | **{row['ratio']:.2f}** | {spread} | {row['cpu_ratio']:.2f} "
        f"| {shown} | {row['warm_up_s']:.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--generator", default="resnet9", choices=["resnet9", "resnet6"])
    parser.add_argument("--size", type=int, help="side of the crops; default: 256, on a CPU 128")
    parser.add_argument("--channels", type=int, default=64, help="of generators and discriminators; default: 64")
    parser.add_argument("--threads", type=int, help="CPU threads that compute; default: one per core")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each way beyond its first three rounds")
    parser.add_argument("--batches", type=int, nargs="*", help="default: 2 4 8 16, on a CPU 4")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="these rows of the table alone")
    parser.add_argument("--floor-tflops", type=float, help="what the device could do in bf16; the share is of that")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "gan_step.jsonl")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    device = choose_device(options.device)
    on_gpu = device.type == "cuda"
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    torch.backends.cudnn.benchmark = True
    bench = Bench(
        device, options.generator, options.size or (256 if on_gpu else 128), options.channels, options.seconds
    )
    batches = options.batches if options.batches is not None else ([2, 4, 8, 16] if on_gpu else [4])
    table = ways(bench, batches, compiling=options.compile)
    unknown = set(options.only or ()) - set(table)
    if unknown:
        parser.error(f"--only knows {', '.join(table)}; not {', '.join(sorted(unknown))}")
    flop = flop_per_pair(bench)
    report: dict[str, Any] = {
        "device": device_name(device),
        "torch": str(torch.__version__),
        "commit": commit(),
        "threads": torch.get_num_threads(),
        "precision": choose_precision("auto", device),
        **{key: value for key, value in asdict(bench).items() if key != "device"},
        "tflop_per_pair": flop / 1e12,
        "floor_tflops": options.floor_tflops,
        "loader_pairs_per_s": {str(batch): loader_pairs_per_s(bench, batch) for batch in (1, *batches[-1:])},
        "rows": {},
    }
    if not options.json:
        print(
            f"{report['device']}, torch {report['torch']}, commit {report['commit']}, {report['threads']} CPU threads"
        )
        print(
            f"{bench.generator}, {bench.channels} channels, {bench.size}x{bench.size}: {flop / 1e12:.4g} TFLOP per pair"
        )
        print(
            f"loader: {', '.join(f'{p:.0f} pairs/s at batch {b}' for b, p in report['loader_pairs_per_s'].items())}\n"
        )
        print("| step | pairs/s | times the reference | range | in CPU seconds | share of the floor | warm-up s |")
        print("|---|---|---|---|---|---|---|", flush=True)
    reference = Way(bench, PaperStep(bench, Levers()))
    for name, make in table.items():
        if options.only and name not in options.only:
            continue
        row = compare(bench, reference, make)
        report["rows"][name] = row
        share = None
        if options.floor_tflops and "absent" not in row:
            share = row["pairs_per_s"] * flop / (1e12 * options.floor_tflops)
            row["share_of_floor"] = share
        if not options.json:
            print(row_text(name, row, share), flush=True)
        if on_gpu:
            gc.collect()  # steps hold methods of their own: without it a row's memory stays taken in the next one
            torch.cuda.empty_cache()
    paces = [row["reference_pairs_per_s"] for row in report["rows"].values() if "absent" not in row]
    report["reference_pairs_per_s"] = statistics.median(paces) if paces else None
    if not options.json and paces:
        print(f"| {REFERENCE} | {report['reference_pairs_per_s']:.4g} | **1.00** | | 1.00 | | |")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    with options.results.open("a") as file:
        file.write(json.dumps(report) + "\n")
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
