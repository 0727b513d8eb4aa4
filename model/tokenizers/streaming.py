"""Causal layers that run on a whole sequence or piece by piece, with their memory outside.

A `Streaming` module is a pure function `step(x, state) -> (y, state)`: feeding a sequence in pieces gives what feeding
it at once gives, up to the rounding of kernels that work on other lengths. `forward` is one step from the start of a
stream. A state is tensors, or tuples of states; each tensor has one row per session, and **zeros are the start of a
stream**. Steps never change a state in place.

Shapes: B sessions, C channels, T time, L layers, H width of the LSTM.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, Union

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

StreamState: TypeAlias = Union[torch.Tensor, tuple["StreamState", ...]]  # noqa: UP007 (recursive: needs the string)
Step: TypeAlias = Callable[[torch.Tensor, StreamState], tuple[torch.Tensor, StreamState]]


# --- states ---------------------------------------------------------------------------------------------------------


def take_row(state: StreamState, row: int) -> StreamState:
    """One session's state, as a copy: kernels may choose their instructions by the alignment of what they read."""
    if isinstance(state, torch.Tensor):
        return state[row : row + 1].clone(memory_format=torch.contiguous_format)
    return tuple(take_row(part, row) for part in state)


def stack_rows(rows: Sequence[StreamState]) -> StreamState:
    """Several sessions' states as one batch."""
    first = rows[0]
    if isinstance(first, torch.Tensor):
        return torch.cat([row for row in rows if isinstance(row, torch.Tensor)])
    return tuple(stack_rows([row[part] for row in rows]) for part in range(len(first)))


def reset_row(state: StreamState, row: int) -> StreamState:
    """The same batch, with one session back at the start of a stream."""
    if isinstance(state, torch.Tensor):
        fresh = state.clone()
        fresh[row] = 0
        return fresh
    return tuple(reset_row(part, row) for part in state)


def step_rows(step: Step, x_B: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
    """Run `step` on each session alone, so that its result never depends on who shares the batch.

    A library kernel may sum in another order for another batch size; a batch of one is always the same kernel.
    """
    outcomes = [step(take_row(x_B, row), take_row(state, row)) for row in range(x_B.shape[0])]
    return torch.cat([y for y, _ in outcomes]), stack_rows([after for _, after in outcomes])


# --- layers ---------------------------------------------------------------------------------------------------------


class Streaming(nn.Module):
    """A module with explicit state."""

    def initial_state(self, batch: int) -> StreamState:
        raise NotImplementedError

    def step(self, x: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.step(x, self.initial_state(x.shape[0]))[0]


class CausalConv1d(Streaming):
    """Convolution over the past: T samples in, T / stride out. The state is the last `kernel - stride` inputs."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, weight_normed: bool = True
    ) -> None:
        super().__init__()
        if kernel < stride:
            raise ValueError(f"a kernel of {kernel} with stride {stride} would skip samples")
        self.context = kernel - stride
        conv = nn.Conv1d(in_channels, out_channels, kernel, stride)
        self.conv = weight_norm(conv) if weight_normed else conv

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.conv.bias.new_zeros(batch, self.conv.in_channels, self.context)

    def step(self, x_BCT: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x_BCT.shape[-1] % self.conv.stride[0]:
            raise ValueError(f"{x_BCT.shape[-1]} samples are not a multiple of the stride {self.conv.stride[0]}")
        seen_BCT = torch.cat((state, x_BCT), dim=-1)
        return self.conv(seen_BCT), seen_BCT[..., seen_BCT.shape[-1] - self.context :].clone()


class CausalConvTranspose1d(Streaming):
    """Upsampling by `stride` with a kernel of two strides: T in, T x stride out. The state is the last input.

    An output depends on the inputs at its own and the previous step; carrying the input instead of the half-finished
    output keeps the bias out of the state.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        conv = nn.ConvTranspose1d(in_channels, out_channels, 2 * stride, stride)
        self.conv = weight_norm(conv, dim=1)  # dimension 1 counts output channels here

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.conv.bias.new_zeros(batch, self.conv.in_channels, 1)

    def step(self, x_BCT: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen_BCT = torch.cat((state, x_BCT), dim=-1)
        stride = self.conv.stride[0]
        y_BCT = self.conv(seen_BCT)[..., stride:-stride]  # the first was given last time, the last is not complete
        return y_BCT, seen_BCT[..., -1:].clone()


class StreamLSTM(Streaming):
    """Stacked LSTM with a skip connection (EnCodec, arXiv 2210.13438, section 3.1). The state is (h, c)."""

    def __init__(self, width: int, num_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, num_layers, batch_first=True)

    def initial_state(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        zeros_BLH = self.lstm.weight_hh_l0.new_zeros(batch, self.lstm.num_layers, self.lstm.hidden_size)
        return zeros_BLH, zeros_BLH.clone()

    def step(self, x_BCT: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        h_LBH, c_LBH = (part_BLH.transpose(0, 1).contiguous() for part_BLH in state)
        y_BTC, (h_LBH, c_LBH) = self.lstm(x_BCT.transpose(1, 2), (h_LBH, c_LBH))
        return x_BCT + y_BTC.transpose(1, 2), tuple(part.transpose(0, 1).contiguous() for part in (h_LBH, c_LBH))


class Chain(Streaming):
    """Modules one after the other; those that are not `Streaming` look at one moment only and keep no state."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def initial_state(self, batch: int) -> StreamState:
        return tuple(part.initial_state(batch) for part in self.parts if isinstance(part, Streaming))

    def step(self, x: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        before = iter(state)
        after = []
        for part in self.parts:
            if isinstance(part, Streaming):
                x, part_state = part.step(x, next(before))
                after.append(part_state)
            else:
                x = part(x)
        return x, tuple(after)


class ResidualUnit(Streaming):
    """Two causal convolutions around a skip connection, activated before each."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.body = Chain(
            nn.ELU(), CausalConv1d(channels, channels, kernel), nn.ELU(), CausalConv1d(channels, channels, kernel)
        )

    def initial_state(self, batch: int) -> StreamState:
        return self.body.initial_state(batch)

    def step(self, x_BCT: torch.Tensor, state: StreamState) -> tuple[torch.Tensor, StreamState]:
        y_BCT, state = self.body.step(x_BCT, state)
        return x_BCT + y_BCT, state


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight-normed weight by its product, once, for inference. Outputs stay the same bit for bit."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
