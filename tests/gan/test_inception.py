import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from garbage_synth.errors import InputError
from garbage_synth.gan import inception
from garbage_synth.gan.evaluation import KID, Evaluator
from garbage_synth.gan.inception import InceptionDistances
from tests.gan.test_cycle_gan import small
from tests.gan.test_distances import brighter, scenes

CPU = torch.device("cpu")


class Means(nn.Module):
    """The mean of each colour, 0..1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().mean((2, 3)) / 255


def scripted(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch gives up making such files, yet the weights come in them
        torch.jit.script(network).save(str(path))
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    pytest.importorskip("torchmetrics")
    return scripted(Means(), tmp_path / "means.pt")


def test_distance_of_gaussians_is_that_of_the_formula(script: Path) -> None:
    distances = InceptionDistances(script, CPU)
    pictures = scenes(12, side=32)
    lighter = (pictures.float().clamp(0, 200) + 51).to(torch.uint8)
    found = distances(lighter, pictures.clamp(0, 200))
    assert found[f"fid@{distances.hash}"] == pytest.approx(3 * 0.2**2, rel=0.02)  # equal covariances: |mean - mean|^2
    assert found[f"inception-kid@{distances.hash}"] > 0
    near = distances(pictures, scenes(12, seed=1, side=32))
    assert near[f"fid@{distances.hash}"] < distances(brighter(pictures, 1), pictures)[f"fid@{distances.hash}"]


def test_evaluation_names_it_by_the_file(script: Path) -> None:
    gan = small()
    distances = InceptionDistances(script, CPU)
    pictures = scenes(4, side=32)
    found = Evaluator(pictures, pictures, gan._placement, inception=distances)(gan)
    assert {KID, f"fid@{distances.hash}"} <= set(found)


def test_files_that_cannot_be_used_are_refused(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.pt").write_text("no network")
    for name in ("text.pt", "missing.pt"):
        with pytest.raises(InputError, match=name):
            InceptionDistances(tmp_path / name, CPU)
    scripted(nn.Sigmoid(), tmp_path / "map.pt")
    with pytest.raises(InputError, match=r"expected \(1, features\)"):
        InceptionDistances(tmp_path / "map.pt", CPU)
    monkeypatch.setattr(inception.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"garbage-synth\[metrics\]"):
        InceptionDistances(script, CPU)
