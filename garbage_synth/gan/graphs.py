"""Steps without the cost of launching them: a function of tensors recorded once as a CUDA graph, then replayed.

At batch 1 a step is some thousands of small kernels, and starting them one by one takes longer than running them.
"""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

__all__ = ["GraphedStep", "Step"]

Step = Callable[..., dict[str, Tensor]]

_EAGER_CALLS = 3


class GraphedStep:
    """Callable as `step` is: tensors in, tensors by name out. Called with shapes that never change.

    The first three calls run as they are, on a stream of their own: optimisers make their state in them and cuDNN
    chooses its algorithms. The next call is recorded, and it and all later ones are replayed. What comes out is copied,
    so it may be kept. `step` may change parameters and optimisers (capturable ones) but must not look at values.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The step on these tensors."""
        if self._graph is None and self._calls < _EAGER_CALLS:
            self._calls += 1
            return self._aside(inputs)
        if self._graph is None:
            self._record(inputs)
        for place, tensor in zip(self._inputs, inputs, strict=True):
            place.copy_(tensor, non_blocking=True)
        assert self._graph is not None
        self._graph.replay()
        return {name: tensor.clone() for name, tensor in self._outputs.items()}

    def _aside(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        stream = _side_stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream), warnings.catch_warnings():
            # Adam's advice not to run a capturable one uncaptured: it will be captured
            warnings.filterwarnings("ignore", message=".*capturable=True")
            outputs = self._step(*inputs)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream(self._device)
        try:
            # thread_local: threads that prepare crops go on pinning memory, which a global recording would not survive
            with (
                _nothing_collected(),
                torch.cuda.device(self._device),
                torch.cuda.graph(graph, capture_error_mode="thread_local"),
            ):
                self._outputs = self._step(*self._inputs)
        except BaseException:
            torch.cuda.set_stream(before)  # a recording that broke off may leave its own behind
            raise
        self._graph = graph


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all: the allocator keeps the memory of each stream apart."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """No cyclic garbage is collected inside the block: a graph destroyed while another is recorded spoils that one."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
