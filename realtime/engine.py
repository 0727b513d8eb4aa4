"""What the runtime needs of a model, and a fake that satisfies it.

`Engine` is the only way `realtime/` sees a model: `open / encode / step / close`, called from one engine thread.
The model's own engine satisfies it structurally; `EchoEngine` satisfies it without weights, for tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.types import TickFailure, TickInput, TickOutput, TickWindow


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a loaded model is and can do. Facts for clients, recordings and admission; never changes.

    `hears`, `sees`, `speaks` and `draws` say what the weights were trained for, not what the code can compute.
    `self_paced` models decide for themselves when to answer; the others wait for `Respond`.
    """

    name: str
    max_sessions: int
    max_steps_per_tick: int
    weights_hash: str
    build_hash: str
    backend: str
    hears: bool
    sees: bool
    speaks: bool
    draws: bool
    self_paced: bool
    voices: tuple[str, ...] = ()


class Engine(Protocol):
    """Steps every live session by one tick. Not thread-safe: one thread calls it, in order."""

    @property
    def info(self) -> EngineInfo: ...

    def open(self, session: str, seed: int) -> None:
        """Give `session` a slot. Raises `EngineFull` where none is free."""
        ...

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        """Tokenize each window, advancing the sessions' tokenizer state. Same order as `windows`."""
        ...

    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        """Advance every session in `inputs` by one tick, as one batch.

        Depends on earlier `step` calls and `inputs` only, never on `encode`, so recorded inputs can be stepped
        again. Outputs appear as they exist; each session ends its tick with one `done` output or one failure.
        """
        ...

    def close(self, session: str) -> None:
        """Free the slot. Closing an unknown session does nothing."""
        ...


class EngineFull(Exception):
    """No slot is free."""
