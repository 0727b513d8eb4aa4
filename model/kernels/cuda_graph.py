"""The decode step as CUDA graphs: one per batch size of a short ladder, over buffers that never move.

A step of N rows runs the smallest graph that holds them. Spare rows repeat the first: they write the bits it writes to
where it writes them. More rows than the largest graph holds go in several replays; later rows see what earlier ones
wrote. `capture` turns a function into its replay, so that a test can run the same bookkeeping without a GPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from model.cache import Rows, SlotCache
from model.kernels.gpu_decoder import GpuDecoder, StepInputs

LADDER = (1, 2, 4, 8, 16, 32, 64)

Capture: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]


def capture_cuda(step: Callable[[], None]) -> Callable[[], None]:
    """Run `step` twice to compile its kernels, capture it, and return the graph's replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@dataclass(frozen=True, slots=True)
class _Graph:
    inputs: StepInputs
    hidden_ND: Tensor
    replay: Callable[[], None]


class GraphedDecoder:
    """A GPU decoder whose decode steps are replayed. Built while every slot is empty: capturing writes to slot 0."""

    def __init__(self, decoder: GpuDecoder, ladder: Sequence[int] = LADDER, capture: Capture = capture_cuda) -> None:
        if not ladder or list(ladder) != sorted(set(ladder)) or ladder[0] < 1:
            raise ValueError(f"batch sizes must be positive and increasing, not {list(ladder)}")
        self._decoder = decoder
        with torch.inference_mode():
            # The largest first, so that smaller graphs find its memory already in the allocator.
            graphs = {size: self._build(size, capture) for size in reversed(ladder)}
        self._graphs = dict(sorted(graphs.items()))

    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache) -> Tensor:
        """As the decoder's own, with decode steps replayed."""
        return self._decoder.forward_cached(x_ND, rows, cache, decode=self.decode)

    def decode(self, inputs: StepInputs) -> Tensor:
        """As the decoder's own."""
        largest = max(self._graphs)
        parts = [inputs[start : start + largest] for start in range(0, len(inputs), largest)]
        return torch.cat([self._replay(part) for part in parts])

    def _replay(self, inputs: StepInputs) -> Tensor:
        count = len(inputs)
        graph = next(graph for size, graph in self._graphs.items() if size >= count)
        for buffer, given in zip(graph.inputs.tensors, inputs.tensors, strict=True):
            buffer[:count] = given
            buffer[count:] = given[0]
        graph.replay()
        return graph.hidden_ND[:count].clone()

    def _build(self, size: int, capture: Capture) -> _Graph:
        config, device = self._decoder.config, self._decoder.device
        place = torch.zeros(size, dtype=torch.int64, device=device)
        angle = torch.zeros(size, config.d_head // 2, device=device)
        inputs = StepInputs(
            torch.zeros(size, config.d_model, device=device), place, place.clone(), angle, angle.clone()
        )
        hidden_ND = torch.empty_like(inputs.x_ND)

        def step() -> None:
            hidden_ND.copy_(self._decoder.decode(inputs))

        return _Graph(inputs, hidden_ND, capture(step))
