"""The CycleGAN as one object that a step changes: networks, optimisers, pools and averages."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from garbage_synth.compute.average import averaged_copy, update_average
from garbage_synth.config.gan import GanConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.gan.item_finder import ItemFinder
from garbage_synth.gan.label_terms import LabelTerms
from garbage_synth.gan.losses import Networks, Weights, discriminator_loss, generator_terms
from garbage_synth.gan.networks import WARP_GENERATORS, Generator, GeneratorSpec, PatchDiscriminator, init_weights
from garbage_synth.gan.pixels import to_levels
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.replay import ImagePool

__all__ = ["CycleGan"]

_SMOOTH_BELOW = 0.2


class CycleGan:
    """Two generators, two discriminators and all that their next step depends on.

    labelled: whether the steps will come with class maps of the synthetic crops. The initial weights follow from `seed`
    alone; the random choices of a step from (seed, step).
    """

    def __init__(
        self, spec: GeneratorSpec, config: GanConfig, placement: Placement, *, seed: int, labelled: bool = False
    ) -> None:
        self._config = config
        smooth_below = config.smooth_below
        if smooth_below is None:
            smooth_below = _SMOOTH_BELOW if spec.name in WARP_GENERATORS else 0.0
        self._weights = Weights(config.lambda_cycle, config.identity_ratio, smooth_below)
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
            placement.settle(network)
        self.averages: dict[str, Generator] = {}
        if config.ema_decay > 0:
            self.averages = {
                "to_real": averaged_copy(self.networks.to_real),
                "to_synthetic": averaged_copy(self.networks.to_synthetic),
            }
        self._generator_adam = self._adam(self.networks.to_real, self.networks.to_synthetic)
        self._judge_adam = self._adam(self.networks.judge_real, self.networks.judge_synthetic)
        self._pools = {"real": ImagePool(config.pool_size), "synthetic": ImagePool(config.pool_size)}
        asked = labelled and config.labels.segmenter > 0
        self._finder = ItemFinder(config.labels, placement, seed=seed) if asked else None
        for network in self._members().values():
            placement.compile(network)
        self._update_generators = {
            flip: placement.accelerated(partial(self._generator_update, flip=flip)) for flip in (False, True)
        }
        self._update_judges = placement.accelerated(self._judge_update)

    def step(
        self, synthetic: Tensor, real: Tensor, *, index: int, learning_rate: float, classes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Train on one batch, uint8 (b, 3, s, s) of each domain; the losses by name, detached, on the device.

        classes: uint8 (b, s, s) of the synthetic crops, 0 = belt. First the segmenter, where there is one, then both
        generators with everything else frozen, then both discriminators on pictures from the pools.
        """
        labels, device = self._config.labels, self._placement.device
        synthetic, real = self._placement.signed(synthetic), self._placement.signed(real)
        labelled = [] if classes is None else [classes.to(device, non_blocking=True)]
        for adam in (self._generator_adam, self._judge_adam):
            self._placement.set_rate(adam, learning_rate)
        finder = self._finder.step(synthetic, *labelled, index=index) if self._finder else {}
        flip = labels.flip > 0 and index % labels.flip_every_steps == 0
        forward = self._update_generators[flip](synthetic, real, *labelled)
        fakes = {name: forward.pop(f"fake_{name}") for name in ("real", "synthetic")}
        shown = [pool.exchange(fakes[name], self._pool_rng(name, index)) for name, pool in self._pools.items()]
        judges = self._update_judges(synthetic, real, *shown)
        for name, average in self.averages.items():
            update_average(average, getattr(self.networks, name), step=index, decay=self._config.ema_decay)
        return {**forward, **judges, **finder}

    def _generator_update(
        self, synthetic: Tensor, real: Tensor, classes: Tensor | None = None, *, flip: bool
    ) -> dict[str, Tensor]:
        """One step of both generators, all else frozen: the losses, correlations and translated pictures."""
        config = self._config.labels
        self._freeze_judges(True)
        if self._finder is None:
            labels = LabelTerms(config, classes, flip=flip)
        else:
            segmenter = self._finder.network.requires_grad_(False)
            labels = LabelTerms(config, classes, segmenter, self._finder.trust(), flip)
        with self._placement.autocast():
            forward = generator_terms(self.networks, synthetic, real, self._weights, labels)
        self._placement.descend(self._generator_adam, forward.total)
        return {
            **forward.terms,
            "correlation_real": _correlation(synthetic, forward.fake_real),
            "correlation_synthetic": _correlation(real, forward.fake_synthetic),
            "fake_real": forward.fake_real,
            "fake_synthetic": forward.fake_synthetic,
        }

    def _judge_update(
        self, synthetic: Tensor, real: Tensor, shown_real: Tensor, shown_synthetic: Tensor
    ) -> dict[str, Tensor]:
        """One step of both discriminators on genuine pictures and on pictures from the pools: their losses."""
        self._freeze_judges(False)
        with self._placement.autocast():
            on_real = discriminator_loss(self.networks.judge_real, real, shown_real)
            on_synthetic = discriminator_loss(self.networks.judge_synthetic, synthetic, shown_synthetic)
        self._placement.descend(self._judge_adam, on_real + on_synthetic)
        return {"judge_real": on_real.detach(), "judge_synthetic": on_synthetic.detach()}

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
                    translated = there(self._placement.signed(picture))
                    returned = back(translated)
                rows.append([picture, to_levels(translated).cpu(), to_levels(returned).cpu()])
            columns += [torch.cat(column) for column in zip(*rows, strict=True)]
        return columns

    def is_finite(self) -> bool:
        """False where any parameter of any network is infinite or not a number."""
        members = [*self._members().values(), *([self._finder.network] if self._finder else [])]
        checks = [p.detach().isfinite().all() for network in members for p in network.parameters()]
        return bool(torch.stack(checks).all())

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, for `restore`; in a team all must call it, and the leader's is whole."""
        pools = self._placement.team.gather({name: pool.state() for name, pool in self._pools.items()})
        return {
            "networks": {name: network.state_dict() for name, network in self._members().items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "generator_adam": self._generator_adam.state_dict(),
            "judge_adam": self._judge_adam.state_dict(),
            "finder": self._finder.state() if self._finder else None,
            "pools": pools,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state` of a CycleGan of the same shape."""
        for name, network in self._members().items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self._placement.restore_adam(self._generator_adam, state["generator_adam"])
        self._placement.restore_adam(self._judge_adam, state["judge_adam"])
        if self._finder:
            self._finder.restore(state["finder"])
        pools = state["pools"]
        for name, pool in self._pools.items():
            pool.restore(pools[self._placement.team.rank % len(pools)][name], self._placement.device)

    def _members(self) -> dict[str, nn.Module]:
        names = ("to_real", "to_synthetic", "judge_real", "judge_synthetic")
        return {name: getattr(self.networks, name) for name in names}

    def _adam(self, *networks: nn.Module) -> torch.optim.Adam:
        parameters = [parameter for network in networks for parameter in network.parameters()]
        config = self._config
        return self._placement.adam(parameters, config.learning_rate, (config.adam_beta1, config.adam_beta2))

    def _freeze_judges(self, frozen: bool) -> None:
        self.networks.judge_real.requires_grad_(not frozen)
        self.networks.judge_synthetic.requires_grad_(not frozen)

    def _pool_rng(self, domain: str, step: int) -> np.random.Generator:
        return rng_for(self._seed, "train-gan.pool", domain, self._placement.turn(step))


@torch.no_grad()
def _correlation(before: Tensor, after: Tensor) -> Tensor:
    """Pearson correlation of all values: near 1 where light stays light, below 0 where colours are inverted."""
    x, y = (t.detach().float() - t.detach().float().mean() for t in (before, after))
    return (x * y).sum() / (x.square().sum() * y.square().sum()).sqrt().clamp_min(1e-12)
