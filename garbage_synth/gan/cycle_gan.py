"""The CycleGAN as one object that a step changes: networks, optimisers, pools and averages."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from garbage_synth.config.gan import GanConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.gan.average import averaged_copy, update_average
from garbage_synth.gan.device import Acceleration, Precision
from garbage_synth.gan.graphs import GraphedStep, Step
from garbage_synth.gan.label_terms import LabelTerms
from garbage_synth.gan.losses import Networks, Weights, discriminator_loss, generator_terms
from garbage_synth.gan.networks import Generator, GeneratorSpec, PatchDiscriminator, init_weights
from garbage_synth.gan.pixels import to_levels, to_signed
from garbage_synth.gan.replay import ImagePool
from garbage_synth.gan.segmenter import JITTER_NUMBERS, Segmenter, jitter_colours, overlap, segmentation_loss
from garbage_synth.gan.team import ALONE, Team

__all__ = ["CycleGan", "Placement"]

_OVERLAP_STEP = 0.02


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how the networks compute. team: the processes that share the work."""

    device: torch.device
    precision: Precision
    acceleration: Acceleration = "none"
    team: Team = ALONE

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last on a GPU in bf16, as its tensor cores want it; on a CPU it was measured not to pay."""
        wins = self.device.type == "cuda" and self.precision == "bf16"
        return torch.channels_last if wins else torch.contiguous_format

    @property
    def graphed(self) -> bool:
        """Whether steps are replayed from CUDA graphs: not in a team, whose processes meet inside a step."""
        return self.device.type == "cuda" and self.acceleration != "none" and self.team.size == 1

    def autocast(self) -> torch.autocast:
        """bfloat16 convolutions inside the block where the precision says so; it needs no loss scaling."""
        return torch.autocast(
            self.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bf16",
            cache_enabled=not self.graphed,  # a recorded step must not reuse what was cast outside of it
        )


class CycleGan:
    """Two generators, two discriminators and all that their next step depends on.

    classes: how many the labels of the synthetic domain have, 0 without labels. The initial weights follow from `seed`
    alone; the random choices of a step from (seed, step).
    """

    def __init__(
        self, spec: GeneratorSpec, config: GanConfig, placement: Placement, *, seed: int, classes: int = 0
    ) -> None:
        self._config = config
        self._placement = placement
        self._seed = seed
        self.networks = Networks(
            spec.build(),
            spec.build(),
            PatchDiscriminator(config.discriminator_channels),
            PatchDiscriminator(config.discriminator_channels),
        )
        self._segmenter = self._new_segmenter(classes) if classes and config.labels.segmenter > 0 else None
        rng = torch.Generator().manual_seed(int(rng_for(seed, "train-gan.weights", "", 0).integers(2**63)))
        for network in self._members().values():
            if network is not self._segmenter:
                init_weights(network, rng, config.init_std)
            # Module.to knows memory_format, its type stub does not
            network.to(placement.device, memory_format=placement.memory_format)  # type: ignore[call-overload]
        self.averages: dict[str, Generator] = {}
        if config.ema_decay > 0:
            self.averages = {
                "to_real": averaged_copy(self.networks.to_real),
                "to_synthetic": averaged_copy(self.networks.to_synthetic),
            }
        self._generator_adam = self._adam(self.networks.to_real, self.networks.to_synthetic)
        self._judge_adam = self._adam(self.networks.judge_real, self.networks.judge_synthetic)
        self._segmenter_adam: torch.optim.Adam | None = None
        if self._segmenter is not None:
            self._segmenter_adam = torch.optim.Adam(
                self._segmenter.parameters(), **self._adam_flags(config.labels.segmenter_learning_rate)
            )
        self._overlap = torch.zeros(2, device=placement.device)  # of the segmenter, averaged over about 50 steps
        self._pools = {"real": ImagePool(config.pool_size), "synthetic": ImagePool(config.pool_size)}
        if placement.acceleration == "compile":
            self._compile()
        self._update_generators = {
            flip: self._accelerated(partial(self._generator_update, flip=flip)) for flip in (False, True)
        }
        self._update_judges = self._accelerated(self._judge_update)
        self._update_segmenter = self._accelerated(self._segmenter_update)

    def step(
        self, synthetic: Tensor, real: Tensor, *, index: int, learning_rate: float, classes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Train on one batch, uint8 (b, 3, s, s) of each domain; the losses by name, detached, on the device.

        classes: uint8 (b, s, s) of the synthetic crops, 0 = belt. First the segmenter, where there is one, then both
        generators with everything else frozen, then both discriminators on pictures from the pools.
        """
        labels = self._config.labels
        synthetic, real = self._place(synthetic), self._place(real)
        labelled = () if classes is None else (classes.to(self._placement.device, non_blocking=True),)
        self._set_learning_rate(learning_rate)
        segmenter: dict[str, Tensor] = {}
        if self._segmenter is not None:
            segmenter = self._update_segmenter(synthetic, *labelled, self._jitter_numbers(synthetic, index))
        flip = labels.flip > 0 and index % labels.flip_every_steps == 0
        forward = self._update_generators[flip](synthetic, real, *labelled)
        fakes = {name: forward.pop(f"fake_{name}") for name in ("real", "synthetic")}
        shown = [pool.exchange(fakes[name], self._pool_rng(name, index)) for name, pool in self._pools.items()]
        judges = self._update_judges(synthetic, real, *shown)
        for name, average in self.averages.items():
            update_average(average, getattr(self.networks, name), step=index, decay=self._config.ema_decay)
        return {**forward, **judges, **segmenter}

    def _segmenter_update(self, synthetic: Tensor, classes: Tensor, jitter: Tensor) -> dict[str, Tensor]:
        """One step of the segmenter on synthetic pictures in other colours: its loss, and its Dice on them as they are.

        The Dice is taken before the step and averaged over steps.
        """
        assert self._segmenter is not None
        assert self._segmenter_adam is not None
        self._segmenter.requires_grad_(True)
        with self._placement.autocast():
            with torch.no_grad():
                now = overlap(self._segmenter(synthetic), classes)
            loss = segmentation_loss(self._segmenter(jitter_colours(synthetic, jitter)), classes)
        self._descend(self._segmenter_adam, loss)
        self._placement.team.average([now])
        self._overlap.lerp_(now, _OVERLAP_STEP)
        return {"segmenter": loss.detach(), "segmenter_dice": self._dice()}

    def _generator_update(
        self, synthetic: Tensor, real: Tensor, classes: Tensor | None = None, *, flip: bool
    ) -> dict[str, Tensor]:
        """One step of both generators, all else frozen: the losses, correlations and translated pictures."""
        config = self._config
        self._freeze_judges(True)
        if self._segmenter is not None:
            self._segmenter.requires_grad_(False)
        trust = (self._dice() > config.labels.segmenter_min_dice).float()
        labels = LabelTerms(config.labels, classes, self._segmenter, trust, flip)
        with self._placement.autocast():
            weights = Weights(config.lambda_cycle, config.identity_ratio)
            forward = generator_terms(self.networks, synthetic, real, weights, labels)
        self._descend(self._generator_adam, forward.total)
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
        self._descend(self._judge_adam, on_real + on_synthetic)
        return {"judge_real": on_real.detach(), "judge_synthetic": on_synthetic.detach()}

    def _descend(self, adam: torch.optim.Adam, loss: Tensor) -> None:
        """One step down the gradient of the loss, of its mean over the team."""
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [parameter for group in adam.param_groups for parameter in group["params"]]
        self._placement.team.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        adam.step()

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
        """Everything the next step depends on, for `restore`; in a team all must call it, and the leader's is whole."""
        pools = self._placement.team.gather({name: pool.state() for name, pool in self._pools.items()})
        return {
            "networks": {name: network.state_dict() for name, network in self._members().items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            **{name: adam.state_dict() for name, adam in self._adams().items()},
            "overlap": self._overlap.cpu(),
            "pools": pools,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state` of a CycleGan of the same shape."""
        for name, network in self._members().items():
            network.load_state_dict(state["networks"][name])
        for name, average in self.averages.items():
            average.load_state_dict(state["averages"][name])
        self._overlap.copy_(state["overlap"])
        for name, adam in self._adams().items():
            adam.load_state_dict(state[name])
            for group in adam.param_groups:
                # those of this device, not of the one that wrote the state
                group |= self._adam_flags(float(group["lr"]))
        pools = state["pools"]
        for name, pool in self._pools.items():
            pool.restore(pools[self._placement.team.rank % len(pools)][name], self._placement.device)

    def _members(self) -> dict[str, nn.Module]:
        names = ("to_real", "to_synthetic", "judge_real", "judge_synthetic")
        members = {name: getattr(self.networks, name) for name in names}
        return members if self._segmenter is None else {**members, "segmenter": self._segmenter}

    def _adams(self) -> dict[str, torch.optim.Adam]:
        """The optimisers by their name in `state`."""
        adams = {"generator_adam": self._generator_adam, "judge_adam": self._judge_adam}
        return adams if self._segmenter_adam is None else {**adams, "segmenter_adam": self._segmenter_adam}

    def _new_segmenter(self, classes: int) -> Segmenter:
        """A segmenter with torch's own initial weights, which follow from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng_for(self._seed, "train-gan.segmenter", "", 0).integers(2**63)))
            return Segmenter(classes, self._config.labels.segmenter_channels)

    def _dice(self) -> Tensor:
        met, both = self._overlap.unbind()
        return met / both.clamp_min(1e-6)

    def _compile(self) -> None:
        """Fuse what is called of each network, in place: names of parameters stay."""
        for network in self._members().values():
            if isinstance(network, Generator):
                network.with_displacement = torch.compile(network.with_displacement)  # type: ignore[method-assign]
            else:
                network.compile()

    def _adam(self, *networks: nn.Module) -> torch.optim.Adam:
        config = self._config
        return torch.optim.Adam(
            [parameter for network in networks for parameter in network.parameters()],
            betas=(config.adam_beta1, config.adam_beta2),
            **self._adam_flags(config.learning_rate),
        )

    def _adam_flags(self, rate: float) -> dict[str, Any]:
        """What Adam needs on this device. The rate is a tensor in a recorded step: a number would be recorded too."""
        device, graphed = self._placement.device, self._placement.graphed
        return {
            "capturable": graphed,
            "fused": device.type in ("cpu", "cuda"),
            "lr": torch.tensor(rate, device=device) if graphed else rate,
        }

    def _set_learning_rate(self, rate: float) -> None:
        """Of generators and discriminators; the segmenter learns at a constant one."""
        for group in (*self._generator_adam.param_groups, *self._judge_adam.param_groups):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _accelerated(self, update: Step) -> Step:
        return GraphedStep(update, self._placement.device) if self._placement.graphed else update

    def _place(self, levels: Tensor) -> Tensor:
        placed = levels.to(self._placement.device, non_blocking=True)
        return to_signed(placed).contiguous(memory_format=self._placement.memory_format)

    def _freeze_judges(self, frozen: bool) -> None:
        self.networks.judge_real.requires_grad_(not frozen)
        self.networks.judge_synthetic.requires_grad_(not frozen)

    def _jitter_numbers(self, pictures: Tensor, step: int) -> Tensor:
        """The random numbers of `jitter_colours`, on the device."""
        team = self._placement.team
        rng = rng_for(self._seed, "train-gan.jitter", "", step * team.size + team.rank)
        numbers = rng.random((len(pictures), JITTER_NUMBERS), dtype=np.float32)
        return torch.from_numpy(numbers).to(self._placement.device, non_blocking=True)

    def _pool_rng(self, domain: str, step: int) -> Any:
        team = self._placement.team
        return rng_for(self._seed, "train-gan.pool", domain, step * team.size + team.rank)


@torch.no_grad()
def _correlation(before: Tensor, after: Tensor) -> Tensor:
    """Pearson correlation of all values: near 1 where light stays light, below 0 where colours are inverted."""
    x, y = (t.detach().float() - t.detach().float().mean() for t in (before, after))
    return (x * y).sum() / (x.square().sum() * y.square().sum()).sqrt().clamp_min(1e-12)
