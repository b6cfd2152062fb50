"""Recording and probing of CUDA graphs, the graph itself replaced: there is no GPU in the tests."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from garbage_synth.gan import graphs as module
from garbage_synth.gan import probe
from garbage_synth.gan.cycle_gan import CycleGan
from garbage_synth.gan.graphs import GraphedStep, Step
from garbage_synth.gan.placement import Placement
from garbage_synth.gan.probe import graphs_fail

CPU = Placement(torch.device("cpu"), "fp32")


class FakeGraph:
    """What a CUDA graph does, as far as its user sees: computes again from the tensors it was recorded on."""

    recorded: list["FakeGraph"]
    again: Callable[[], None]

    def replay(self) -> None:
        self.again()


@pytest.fixture
def fake_graphs(monkeypatch: pytest.MonkeyPatch) -> list[FakeGraph]:
    graphs: list[FakeGraph] = []

    def made() -> FakeGraph:
        graphs.append(FakeGraph())
        return graphs[-1]

    @contextmanager
    def graph(_: FakeGraph, *, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"  # other threads pin memory meanwhile
        yield

    class FakeStream:
        def wait_stream(self, _: Any) -> None: ...

    @contextmanager
    def stream(_: FakeStream) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", made)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: FakeStream())
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: FakeStream())
    module._side_stream.cache_clear()
    return graphs


def test_step_is_recorded_once_after_three_plain_calls_and_its_results_may_be_kept(
    fake_graphs: list[FakeGraph],
) -> None:
    calls = 0

    def step(x: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        result = x * 2
        if fake_graphs:
            fake_graphs[0].again = lambda: result.copy_(x * 2) and None  # type: ignore[func-returns-value]
        return {"doubled": result}

    graphed = GraphedStep(step, torch.device("cpu"))
    kept = [graphed(torch.tensor([float(number)]))["doubled"] for number in range(6)]
    assert [value.item() for value in kept] == [0, 2, 4, 6, 8, 10]
    assert calls == 4
    assert len(fake_graphs) == 1


def test_nothing_is_collected_while_a_step_is_recorded(fake_graphs: list[FakeGraph]) -> None:
    """Another graph that is garbage would be destroyed then, which spoils the recording."""
    seen: list[bool] = []

    def step(x: Tensor) -> dict[str, Tensor]:
        seen.append(gc.isenabled())
        if fake_graphs:
            fake_graphs[0].again = lambda: None
        return {"same": x}

    graphed = GraphedStep(step, torch.device("cpu"))
    for _ in range(5):
        graphed(torch.zeros(1))
    assert seen == [True, True, True, False]
    assert gc.isenabled()


def test_a_recording_that_breaks_off_leaves_stream_and_collector_as_they_were(
    fake_graphs: list[FakeGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)

    def step(x: Tensor) -> dict[str, Tensor]:
        if fake_graphs:
            raise RuntimeError("operation not permitted when stream is capturing")
        return {"same": x}

    graphed = GraphedStep(step, torch.device("cpu"))
    for _ in range(3):
        graphed(torch.zeros(1))
    with pytest.raises(RuntimeError, match="capturing"):
        graphed(torch.zeros(1))
    assert len(streams) == 1
    assert gc.isenabled()


def test_probe_trusts_graphs_that_agree_and_names_what_is_wrong_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Placement, "graphed", False)
    assert graphs_fail(CPU) is None

    whole = probe.CycleGan.step
    monkeypatch.setattr(
        CycleGan,
        "step",
        lambda self, *args, **rest: {
            name: loss + (0.1 if self._placement.graphs_hold else 0.0)
            for name, loss in whole(self, *args, **rest).items()
        },
    )
    reason = graphs_fail(CPU)
    assert reason is not None
    assert "0.1 in the mean" in reason

    monkeypatch.setattr(
        CycleGan, "step", lambda self, *args, **rest: whole(self, *args, **{**rest, "learning_rate": 1e-5})
    )
    assert graphs_fail(CPU) == "recorded steps do not follow the learning rate"

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(CycleGan, "step", broken)
    assert graphs_fail(CPU) == "operation not permitted when stream is capturing"


class Stale:
    """A recorded step that goes on reading one of its inputs as it was when it was recorded."""

    def __init__(self, step: Step, place: int) -> None:
        self._step, self._place, self._kept = step, place, list[Tensor]()

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        own = list(inputs)
        if self._place < len(own):
            self._kept.append(own[self._place].clone())
            own[self._place] = self._kept[min(3, len(self._kept) - 1)]
        return self._step(*own)


@pytest.mark.parametrize(("place", "loss"), [(0, "differs"), (3, "judge_synthetic")])
def test_probe_sees_an_input_that_is_not_renewed(place: int, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Placement, "graphed", False)
    monkeypatch.setattr(Placement, "accelerated", lambda self, step: Stale(step, place) if self.graphs_hold else step)
    reason = graphs_fail(CPU)
    assert reason is not None
    assert loss in reason


def test_probe_bears_what_sums_in_another_order_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that differ by a ten-thousandth, in recorded steps and in the second plain run."""
    monkeypatch.setattr(Placement, "graphed", False)
    noise = torch.Generator().manual_seed(5)

    def descend(self: Placement, adam: torch.optim.Adam, loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in adam.param_groups:
            for gradient in (parameter.grad for parameter in group["params"] if parameter.grad is not None):
                gradient += torch.randn(gradient.shape, generator=noise) * gradient.abs().mean() * 1e-4
        adam.step()

    monkeypatch.setattr(Placement, "descend", descend)
    assert graphs_fail(CPU) is None
