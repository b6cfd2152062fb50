"""FID and KID on a network of the user's own, for whoever has the weights that published numbers are made with."""

import hashlib
import importlib.util
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from garbage_synth.errors import InputError
from garbage_synth.gan.distances import kid

__all__ = ["InceptionDistances"]

_CHUNK = 8


class InceptionDistances:
    """Distances between two sets of pictures on the features of a TorchScript file.

    Its module takes uint8 (n, 3, h, w), brings it to its own size, and gives features (n, d); names end in the first 8
    hexadecimal digits of the file's sha256. Raises InputError for a file that cannot be read or used, and where
    torchmetrics is not installed.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        if importlib.util.find_spec("torchmetrics") is None:
            raise InputError(
                "config key inception needs torchmetrics, which is not installed: pip install 'garbage-synth[metrics]'"
            )
        try:
            self.hash = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TorchScript is given up, the weights come in it
                self._network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
            self._device = device
            width = self._features(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"inception {path} cannot be used as a TorchScript network: {reason}") from error
        if len(width) != 2:
            raise InputError(f"inception {path} gives {tuple(width)} for one picture, expected (1, features)")

    @torch.no_grad()
    def __call__(self, fakes: Tensor, real: Tensor) -> dict[str, float]:
        """{"fid@...", "inception-kid@..."} of two sets uint8 (n, 3, h, w). FID of few pictures is biased upwards."""
        from torchmetrics.image.fid import FrechetInceptionDistance

        features = {"fake": self._features(fakes), "real": self._features(real)}
        metric = FrechetInceptionDistance(feature=_Given(features["real"].shape[1])).set_dtype(torch.float64)
        for name, found in features.items():
            metric.update(found, real=name == "real")
        return {
            f"fid@{self.hash}": float(metric.compute()),
            f"inception-kid@{self.hash}": kid(features["fake"], features["real"]),
        }

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> Tensor:
        return torch.cat([self._network(part.to(self._device)).float().cpu() for part in torch.split(pictures, _CHUNK)])


class _Given(nn.Module):
    """Hands on features that are computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
