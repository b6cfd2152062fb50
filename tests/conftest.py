"""What every test may ask for."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """Two threads on a busy two-core machine are slower than one; only where a test has loaded torch already."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs; the test is skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GARBAGE_SYNTH_REAL_DATA", default))
    if not (folder / "construction_belt").is_dir():
        pytest.skip(f"no real photographs in {folder}: set GARBAGE_SYNTH_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The rendered sample data; the test is skipped where they are not (yet) there."""
    folder = Path(__file__).parents[1] / "sample_data"
    if not (folder / "crops" / "crops.json").is_file():
        pytest.skip(f"no rendered pictures in {folder}: make sample-data")
    return folder
