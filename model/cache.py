"""The key/value cache: fixed slots, one per session, bounded positions, constant memory for sessions without end.

A slot holds a pinned prefix, then a sliding window in the order of time. When the window is full its oldest whole
ticks are dropped and the rest moves down, so a slot is always one contiguous run. Keys keep the rotary angle of the
position they were written at; only the pinned ones are turned again, from an unrotated copy, so that they stay
directly before the window and no relative distance grows beyond the slot. The copy is float32 and made once: however
often pinned keys are turned, each was rounded to the cache's type twice, when it was written and when it last turned.

Shape legend: L layers, S slots, G key/value heads, C positions of a slot, E head width, N rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.config import DecoderConfig
from model.kv_format import Place, get, put
from model.rotary import apply_rotary, rotary_table

# A full window frees this share of itself at once, so that moving it is rare: once per C/8 positions.
EVICTED_SHARE = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """Where each of N new positions goes: `slot`, `index` in the slot, and rotary `position`; int64 [N] each.

    Rows of one slot are adjacent and in increasing index.
    """

    slot: Tensor
    index: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.slot)

    def by_slot(self) -> Iterator[tuple[slice, "Rows"]]:
        """The rows of each slot, with where they stand among all rows."""
        start = 0
        slots = self.slot.tolist()
        for stop in range(1, len(slots) + 1):
            if stop == len(slots) or slots[stop] != slots[start]:
                part = slice(start, stop)
                yield part, Rows(self.slot[part], self.index[part], self.position[part])
                start = stop

    @staticmethod
    def concatenate(parts: Sequence["Rows"]) -> "Rows":
        return Rows(
            torch.cat([part.slot for part in parts]),
            torch.cat([part.index for part in parts]),
            torch.cat([part.position for part in parts]),
        )


@dataclass(slots=True)
class _Slot:
    ticks: list[int] = field(default_factory=list)  # of each position held
    num_pinned: int = 0
    next_position: int = 0
    unrotated_LGPE: Tensor | None = None  # the pinned keys, made when the window first moves

    @property
    def first_pinned_position(self) -> int:
        return self.next_position - len(self.ticks)


class SlotCache:
    """Keys and values of every slot, int8 ones with scales. Written by the decoder, one row at a time or many."""

    def __init__(
        self, config: DecoderConfig, num_slots: int, capacity: int, dtype: torch.dtype, device: str = "cpu"
    ) -> None:
        shape = (config.num_layers, num_slots, config.num_kv_heads, capacity, config.d_head)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.k_scale: Tensor | None = None
        self.v_scale: Tensor | None = None
        if dtype == torch.int8:
            self.k_scale = torch.zeros(shape[:-1], device=device)
            self.v_scale = torch.zeros(shape[:-1], device=device)
        self.capacity = capacity
        self._config = config
        self._slots = [_Slot() for _ in range(num_slots)]

    def length(self, slot: int) -> int:
        return len(self._slots[slot].ticks)

    def num_pinned(self, slot: int) -> int:
        return self._slots[slot].num_pinned

    def clear(self, slot: int) -> None:
        self._slots[slot] = _Slot()

    def append(self, slot: int, ticks: Sequence[int], num_pinned: int = 0) -> tuple[Rows, tuple[int, ...]]:
        """Make room for positions of these ticks, the first `num_pinned` of them pinned.

        Returns their rows and the ticks that were evicted for them. Raises ValueError where they cannot fit, or where
        a pinned position would follow a window.
        """
        state = self._slots[slot]
        if num_pinned and len(state.ticks) > state.num_pinned:
            raise ValueError(f"slot {slot} has a window already: nothing can be pinned after it")
        if state.num_pinned + len(ticks) > self.capacity:
            raise ValueError(f"{len(ticks)} positions do not fit a slot of {self.capacity}")
        evicted: tuple[int, ...] = ()
        if len(state.ticks) + len(ticks) > self.capacity:
            evicted = self._evict(slot, len(state.ticks) + len(ticks) - self.capacity)
        start, count = len(state.ticks), len(ticks)
        rows = Rows(
            torch.full((count,), slot),
            torch.arange(start, start + count),
            torch.arange(state.next_position, state.next_position + count),
        )
        state.ticks.extend(ticks)
        state.num_pinned += num_pinned
        state.next_position += count
        return rows, evicted

    def write(self, layer: int, rows: Rows, k_NGE: Tensor, v_NGE: Tensor) -> None:
        """Store rotated keys, and values, of rows of one slot."""
        slot, start = int(rows.slot[0]), int(rows.index[0])
        at = (layer, slot, slice(None), slice(start, start + len(rows)))
        put(self.k, self.k_scale, at, k_NGE.transpose(0, 1))
        put(self.v, self.v_scale, at, v_NGE.transpose(0, 1))

    def read(self, layer: int, slot: int, end: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values [G, end, E] of a slot's first `end` positions."""
        at = (layer, slot, slice(None), slice(end))
        return get(self.k, self.k_scale, at, dtype), get(self.v, self.v_scale, at, dtype)

    def _evict(self, slot: int, needed: int) -> tuple[int, ...]:
        """Drop whole ticks from the window's old end until `needed` positions are free, and a share more."""
        state = self._slots[slot]
        window = state.ticks[state.num_pinned :]
        goal = min(len(window), max(needed, len(window) // EVICTED_SHARE))
        dropped = goal
        while dropped < len(window) and window[dropped] == window[dropped - 1]:
            dropped += 1
        first = state.num_pinned
        kept = len(window) - dropped
        self._keep_unrotated(slot)
        for tensor in (self.k, self.v, self.k_scale, self.v_scale):
            if tensor is None:
                continue
            tensor[:, slot, :, first : first + kept] = tensor[
                :, slot, :, first + dropped : first + dropped + kept
            ].clone()
        state.ticks[first : first + dropped] = []
        self._rotate_pinned(slot)
        return tuple(dict.fromkeys(window[:dropped]))

    def _keep_unrotated(self, slot: int) -> None:
        state = self._slots[slot]
        if state.unrotated_LGPE is None and state.num_pinned:
            pinned = get(self.k, self.k_scale, self._pinned(slot), torch.float32)
            state.unrotated_LGPE = self._turn(pinned, state.first_pinned_position, inverse=True)

    def _rotate_pinned(self, slot: int) -> None:
        state = self._slots[slot]
        if state.unrotated_LGPE is not None:
            turned = self._turn(state.unrotated_LGPE, state.first_pinned_position, inverse=False)
            put(self.k, self.k_scale, self._pinned(slot), turned)

    def _pinned(self, slot: int) -> Place:
        """All layers' pinned positions of a slot: [L, G, P, E]."""
        return slice(None), slot, slice(None), slice(self.num_pinned(slot))

    def _turn(self, k_LGPE: Tensor, first_position: int, *, inverse: bool) -> Tensor:
        position_P = torch.arange(first_position, first_position + k_LGPE.shape[2], device=k_LGPE.device)
        cos_PR, sin_PR = rotary_table(position_P, self._config.d_head, self._config.rope_theta)
        sin_PR = -sin_PR if inverse else sin_PR
        return apply_rotary(k_LGPE.transpose(1, 2), cos_PR, sin_PR).transpose(1, 2)
