"""Does memory grow with the number of pictures? Peak resident size of `composite` for a small and a large dataset.

    python benchmarks/composite_memory.py [--counts 1000 100000] [--json]

Pictures are tiny (64x48, one or two items), so that 100,000 of them take minutes: what could grow is what is kept per
picture, not the pictures. Each dataset is made by a process of its own, with one worker beside it.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from composite_speed import make_inputs

MAKE = """
import json, resource, sys
from pathlib import Path
from garbage_synth.api import composite
if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    composite(folder / "crops", folder / "belts", folder / "out", count=count, size=(64, 48), items=(1, 2), workers=2)
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"main_mib": own // 1024, "worker_mib": workers // 1024}))
"""


def measure(count: int) -> dict[str, float]:
    """Peak resident MiB of the main process and its largest worker, and the seconds it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, np.random.default_rng(1))
        script = folder / "make.py"
        script.write_text(MAKE, encoding="utf-8")
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, str(script), name, str(count)], check=True, capture_output=True, text=True, timeout=7200
        )
        result: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
        return {**result, "seconds": round(time.perf_counter() - start, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    options = parser.parse_args()
    results = {count: measure(count) for count in options.counts}
    if options.json:
        print(json.dumps(results))
        return
    print(f"{platform.machine()}, Python {platform.python_version()}")
    for count, result in results.items():
        print(
            f"{count:>9,} pictures: main process {result['main_mib']:.0f} MiB, worker {result['worker_mib']:.0f} MiB, "
            f"{result['seconds']:.0f} s"
        )


if __name__ == "__main__":
    main()
