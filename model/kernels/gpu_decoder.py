"""The decoder on a GPU: packed FP4 weights, the slot cache and every step live on the device; rows come from the host.

A session's share of a pass goes through decode tilings when it is short and through prefill tilings when it is long.
Its own length alone decides, so a session computes the same bits alone and among others.

Shape legend: N rows, D model width, R half of a head's width.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from model.cache import Rows, SlotCache
from model.config import DecoderConfig
from model.kernels.gpu_attention import AttentionKernel, attend_slot, decode_attention
from model.kernels.native import LayerWeights
from model.kernels.triton_fp4 import Pass, TritonLinear
from model.kernels.triton_step import gate, rms_norm, rotate_and_store
from model.rotary import rotary_table

MAX_DECODE_ROWS = 8  # of one session: a drawn id, a frame of sound, a few forced ids


@dataclass(frozen=True, slots=True)
class StepInputs:
    """One pass on the device: embedded rows, their places in the cache and their rotary angles."""

    x_ND: Tensor  # float32
    slot_N: Tensor  # int64
    index_N: Tensor  # int64
    cos_NR: Tensor  # float32
    sin_NR: Tensor  # float32

    def __len__(self) -> int:
        return len(self.x_ND)

    def __getitem__(self, part: slice) -> "StepInputs":
        return StepInputs(*(tensor[part] for tensor in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.x_ND, self.slot_N, self.index_N, self.cos_NR, self.sin_NR)


Decode: TypeAlias = Callable[[StepInputs], Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: Tensor
    qkv: TritonLinear
    o: TritonLinear
    ffn_norm: Tensor
    gate_up: TritonLinear
    down: TritonLinear


class GpuDecoder:
    """All layers and the final norm. Its cache, bfloat16, is the one it was built on."""

    def __init__(
        self,
        config: DecoderConfig,
        layers: Iterable[LayerWeights],
        norm: Tensor,
        cache: SlotCache,
        attention: AttentionKernel = AttentionKernel.TRITON,
    ) -> None:
        if config.d_head & (config.d_head - 1):
            raise ValueError(f"the Triton kernels need a head width that is a power of two, not {config.d_head}")
        if cache.k.dtype != torch.bfloat16:
            raise ValueError(f"the GPU decoder's cache holds bfloat16, not {cache.k.dtype}")
        self.config = config
        self.cache = cache
        self.device = cache.k.device
        self._attend = decode_attention(attention)
        self._norm = norm.float().to(self.device)
        self._layers = [
            _Layer(
                attention_norm=layer.attention_norm.float().to(self.device),
                qkv=TritonLinear(layer.q, layer.k, layer.v).to(self.device),
                o=TritonLinear(layer.o).to(self.device),
                ffn_norm=layer.ffn_norm.float().to(self.device),
                gate_up=TritonLinear(layer.gate, layer.up).to(self.device),
                down=TritonLinear(layer.down).to(self.device),
            )
            for layer in layers
        ]

    def inputs(self, x_ND: Tensor, rows: Rows) -> StepInputs:
        """Host tensors → a pass on the device."""
        cos_NR, sin_NR = rotary_table(rows.position, self.config.d_head, self.config.rope_theta)
        tensors = (x_ND.float(), rows.slot, rows.index, cos_NR, sin_NR)
        return StepInputs(*(tensor.to(self.device) for tensor in tensors))

    @torch.inference_mode()
    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache, decode: Decode | None = None) -> Tensor:
        """Append rows to their slots; hidden states [N, D] float32 where `x_ND` is. `decode` replaces `self.decode`."""
        assert cache is self.cache, "the cache this decoder was built on"
        groups = list(rows.by_slot())
        inputs = self.inputs(x_ND, rows)
        hidden_ND = torch.empty_like(inputs.x_ND)
        short = [part for part, group in groups if len(group) <= MAX_DECODE_ROWS]
        if short:
            picked = torch.cat([torch.arange(part.start, part.stop) for part in short]).to(self.device)
            together = StepInputs(*(tensor[picked] for tensor in inputs.tensors))
            hidden_ND[picked] = (decode or self.decode)(together)
        for part, group in groups:
            if len(group) > MAX_DECODE_ROWS:
                hidden_ND[part] = self.prefill(inputs[part], int(group.slot[0]), int(group.index[0]))
        return hidden_ND.to(x_ND.device)

    def decode(self, inputs: StepInputs) -> Tensor:
        """Few rows of many sessions → hidden states [N, D] float32 on the device. Never waits for the host."""

        def attend(q_NHE: Tensor, layer: int) -> Tensor:
            return self._attend(q_NHE, self.cache.k[layer], self.cache.v[layer], inputs.slot_N, inputs.index_N)

        return self._run(inputs, Pass.DECODE, attend)

    def prefill(self, inputs: StepInputs, slot: int, first: int) -> Tensor:
        """Many rows of one session, from position `first` of its slot."""

        def attend(q_NHE: Tensor, layer: int) -> Tensor:
            return attend_slot(q_NHE, self.cache.k[layer, slot], self.cache.v[layer, slot], first)

        return self._run(inputs, Pass.PREFILL, attend)

    def _run(self, inputs: StepInputs, kind: Pass, attend: Callable[[Tensor, int], Tensor]) -> Tensor:
        x, eps, places = inputs.x_ND, self.config.norm_eps, inputs.tensors[1:]
        slot_N, index_N, cos_NR, sin_NR = places
        for index, layer in enumerate(self._layers):
            qkv = layer.qkv.multiply(rms_norm(x, layer.attention_norm, eps), kind)
            q_NHE = rotate_and_store(qkv, cos_NR, sin_NR, slot_N, index_N, self.cache.k[index], self.cache.v[index])
            mixed = attend(q_NHE, index).flatten(1).contiguous()
            x = layer.o.multiply(mixed, kind, residual=x)
            gate_up = layer.gate_up.multiply(rms_norm(x, layer.ffn_norm, eps), kind)
            x = layer.down.multiply(gate(gate_up), kind, residual=x)
        return rms_norm(x, self._norm, eps, torch.float32)
