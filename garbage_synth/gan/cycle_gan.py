"""The CycleGAN as one object that a step changes: networks, optimisers, pools and averages."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.gan.average import averaged_copy, update_average
from garbage_synth.gan.device import Precision
from garbage_synth.gan.losses import Networks, Weights, discriminator_loss, generator_terms
from garbage_synth.gan.networks import GeneratorSpec, PatchDiscriminator, init_weights
from garbage_synth.gan.pixels import to_levels, to_signed
from garbage_synth.gan.replay import ImagePool

__all__ = ["CycleGan", "Placement"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how the networks compute."""

    device: torch.device
    precision: Precision

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last on a GPU in bf16, as its tensor cores want it; on a CPU it was measured not to pay."""
        wins = self.device.type == "cuda" and self.precision == "bf16"
        return torch.channels_last if wins else torch.contiguous_format

    def autocast(self) -> torch.autocast:
        """bfloat16 convolutions inside the block where the precision says so; it needs no loss scaling."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")


class CycleGan:
    """Two generators, two discriminators and all that their next step depends on.

    The initial weights follow from `seed` alone; the random choices of a step from (seed, step).
    """

    def __init__(self, spec: GeneratorSpec, config: GanConfig, placement: Placement, *, seed: int) -> None:
        self._config = config
        self._placement = placement
        self._seed = seed
        self.networks = Networks(
            spec.build(),
            spec.build(),
            PatchDiscriminator(config.discriminator_channels),
            PatchDiscriminator(config.discriminator_channels),
        )
        rng = torch.Generator().manual_seed(int(rng_for(seed, "train-gan.weights", "", 0).integers(2**63)))
        for network in self._members().values():
            init_weights(network, rng, config.init_std)
            # Module.to knows memory_format, its type stub does not
            network.to(placement.device, memory_format=placement.memory_format)  # type: ignore[call-overload]
        self.averages: dict[str, nn.Module] = {}
        if config.ema_decay > 0:
            self.averages = {
                "to_real": averaged_copy(self.networks.to_real),
                "to_synthetic": averaged_copy(self.networks.to_synthetic),
            }
        self._generator_adam = self._adam(self.networks.to_real, self.networks.to_synthetic)
        self._judge_adam = self._adam(self.networks.judge_real, self.networks.judge_synthetic)
        self._pools = {"real": ImagePool(config.pool_size), "synthetic": ImagePool(config.pool_size)}

    def step(self, synthetic: Tensor, real: Tensor, *, index: int, learning_rate: float) -> dict[str, Tensor]:
        """Train on one batch, uint8 (b, 3, s, s) of each domain; the losses by name, detached, on the device.

        First both generators with frozen discriminators, then both discriminators on pictures from the pools.
        """
        networks, config = self.networks, self._config
        synthetic, real = self._place(synthetic), self._place(real)
        for group in (*self._generator_adam.param_groups, *self._judge_adam.param_groups):
            group["lr"] = learning_rate

        self._freeze_judges(True)
        with self._placement.autocast():
            forward = generator_terms(networks, synthetic, real, Weights(config.lambda_cycle, config.identity_ratio))
        self._generator_adam.zero_grad(set_to_none=True)
        forward.total.backward()  # type: ignore[no-untyped-call]
        self._generator_adam.step()

        self._freeze_judges(False)
        shown = {
            "real": self._pools["real"].exchange(forward.fake_real, self._pool_rng("real", index)),
            "synthetic": self._pools["synthetic"].exchange(forward.fake_synthetic, self._pool_rng("synthetic", index)),
        }
        with self._placement.autocast():
            judge_real = discriminator_loss(networks.judge_real, real, shown["real"])
            judge_synthetic = discriminator_loss(networks.judge_synthetic, synthetic, shown["synthetic"])
        self._judge_adam.zero_grad(set_to_none=True)
        (judge_real + judge_synthetic).backward()  # type: ignore[no-untyped-call]
        self._judge_adam.step()

        for name, average in self.averages.items():
            update_average(average, getattr(networks, name), step=index, decay=config.ema_decay)
        return {
            **forward.terms,
            "judge_real": judge_real.detach(),
            "judge_synthetic": judge_synthetic.detach(),
            "correlation_real": _correlation(synthetic, forward.fake_real),
            "correlation_synthetic": _correlation(real, forward.fake_synthetic),
        }

    @torch.no_grad()
    def samples(self, synthetic: Tensor, real: Tensor) -> list[Tensor]:
        """x, G(x), F(G(x)), y, F(y), G(F(y)) of uint8 (n, 3, s, s), as uint8 on the CPU, by averaged weights."""
        to_real = self.averages.get("to_real", self.networks.to_real)
        to_synthetic = self.averages.get("to_synthetic", self.networks.to_synthetic)
        columns: list[Tensor] = []
        for pictures, there, back in ((synthetic, to_real, to_synthetic), (real, to_synthetic, to_real)):
            rows: list[list[Tensor]] = []
            for picture in torch.split(pictures, 1):
                with self._placement.autocast():
                    translated = there(self._place(picture))
                    returned = back(translated)
                rows.append([picture, to_levels(translated).cpu(), to_levels(returned).cpu()])
            columns += [torch.cat(column) for column in zip(*rows, strict=True)]
        return columns

    def is_finite(self) -> bool:
        """False where any parameter of any network is infinite or not a number."""
        checks = [p.detach().isfinite().all() for network in self._members().values() for p in network.parameters()]
        return bool(torch.stack(checks).all())

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, for `restore`."""
        return {
            "networks": {name: network.state_dict() for name, network in self._members().items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "generator_adam": self._generator_adam.state_dict(),
            "judge_adam": self._judge_adam.state_dict(),
            "pools": {name: pool.state() for name, pool in self._pools.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state` of a CycleGan of the same shape."""
        for name, network in self._members().items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self._generator_adam.load_state_dict(state["generator_adam"])
        self._judge_adam.load_state_dict(state["judge_adam"])
        for name, pool in self._pools.items():
            pool.restore(state["pools"][name], self._placement.device)

    def _members(self) -> dict[str, nn.Module]:
        names = ("to_real", "to_synthetic", "judge_real", "judge_synthetic")
        return {name: getattr(self.networks, name) for name in names}

    def _adam(self, *networks: nn.Module) -> torch.optim.Adam:
        config = self._config
        return torch.optim.Adam(
            [parameter for network in networks for parameter in network.parameters()],
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            fused=self._placement.device.type in ("cpu", "cuda"),
        )

    def _place(self, levels: Tensor) -> Tensor:
        placed = levels.to(self._placement.device, non_blocking=True)
        return to_signed(placed).contiguous(memory_format=self._placement.memory_format)

    def _freeze_judges(self, frozen: bool) -> None:
        self.networks.judge_real.requires_grad_(not frozen)
        self.networks.judge_synthetic.requires_grad_(not frozen)

    def _pool_rng(self, domain: str, step: int) -> Any:
        return rng_for(self._seed, "train-gan.pool", domain, step)


@torch.no_grad()
def _correlation(before: Tensor, after: Tensor) -> Tensor:
    """Pearson correlation of all values: near 1 where light stays light, below 0 where colours are inverted."""
    x, y = (t.detach().float() - t.detach().float().mean() for t in (before, after))
    return (x * y).sum() / (x.square().sum() * y.square().sum()).sqrt().clamp_min(1e-12)
