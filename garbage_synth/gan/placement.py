"""Where and how networks compute and learn: device, number format, how steps are started, who shares the work."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from garbage_synth.compute.device import Acceleration, Precision
from garbage_synth.gan.graphs import GraphedStep, Step
from garbage_synth.gan.networks import Generator
from garbage_synth.gan.pixels import to_signed
from garbage_synth.gan.team import ALONE, Team

__all__ = ["Placement"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how the networks compute. team: the processes that share the work. graphs_hold: False where CUDA graphs
    were tried and do not do what plain steps do."""

    device: torch.device
    precision: Precision
    acceleration: Acceleration = "none"
    team: Team = ALONE
    graphs_hold: bool = True

    @property
    def memory_format(self) -> torch.memory_format:
        """channels_last on a GPU in bf16, as its tensor cores want it; on a CPU it was measured not to pay."""
        wins = self.device.type == "cuda" and self.precision == "bf16"
        return torch.channels_last if wins else torch.contiguous_format

    @property
    def graphed(self) -> bool:
        """Whether steps are replayed from CUDA graphs: not in a team, whose processes meet inside a step."""
        wanted = self.acceleration != "none" and self.team.size == 1
        return self.device.type == "cuda" and wanted and self.graphs_hold

    def autocast(self) -> torch.autocast:
        """bfloat16 convolutions inside the block where the precision says so; it needs no loss scaling."""
        return torch.autocast(
            self.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bf16",
            cache_enabled=not self.graphed,  # a recorded step must not reuse what was cast outside of it
        )

    def settle(self, network: nn.Module) -> None:
        """Move a network to its device and layout, in place."""
        # Module.to knows memory_format, its type stub does not
        network.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]

    def compile(self, network: nn.Module) -> None:
        """Fuse what is called of a network, in place, where the acceleration says so; names of parameters stay."""
        if self.acceleration != "compile":
            return
        if isinstance(network, Generator):
            network.with_displacement = torch.compile(network.with_displacement)  # type: ignore[method-assign]
        else:
            network.compile()

    def accelerated(self, step: Step) -> Step:
        """The step, replayed from a CUDA graph where steps are."""
        return GraphedStep(step, self.device) if self.graphed else step

    def signed(self, levels: Tensor) -> Tensor:
        """uint8 (b, 3, h, w) -> float32 in [-1, 1] on the device."""
        placed = levels.to(self.device, non_blocking=True)
        return to_signed(placed).contiguous(memory_format=self.memory_format)

    def turn(self, step: int) -> int:
        """A number for the random choices of this process in a step, no two alike."""
        return step * self.team.size + self.team.rank

    def adam(self, parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.Adam:
        """A fused Adam."""
        return torch.optim.Adam(list(parameters), betas=betas, **self._adam_flags(rate))

    def set_rate(self, adam: torch.optim.Adam, rate: float) -> None:
        """Give an Adam of `adam` another learning rate."""
        for group in adam.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def restore_adam(self, adam: torch.optim.Adam, state: dict[str, Any]) -> None:
        """Take up a state_dict, also of another device and of another layout of the weights.

        The layout of the moments must be that of the weights: a fused Adam on a CPU pairs them as they lie in memory
        and gives wrong weights without a word, one on a GPU refuses them.
        """
        adam.load_state_dict(state)
        for parameter, own in adam.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                own[name] = torch.empty_like(parameter).copy_(own[name])
        for group in adam.param_groups:
            group |= self._adam_flags(float(group["lr"]))

    def descend(self, adam: torch.optim.Adam, loss: Tensor) -> None:
        """One step down the gradient of the loss, of its mean over the team."""
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [parameter for group in adam.param_groups for parameter in group["params"]]
        self.team.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        adam.step()

    def _adam_flags(self, rate: float) -> dict[str, Any]:
        """What Adam needs on this device. The rate is a tensor in a recorded step: a number would be recorded too."""
        return {
            "capturable": self.graphed,
            "fused": self.device.type in ("cpu", "cuda"),
            "lr": torch.tensor(rate, device=self.device) if self.graphed else rate,
        }
