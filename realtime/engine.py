"""What the runtime needs of a model.

`Engine` is the only way `realtime/` sees a model: `open / encode / step / close`, called from one engine thread.
The model's own engine satisfies it structurally; `EchoEngine` satisfies it without weights, for tests.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from streams.types import EngineFull, EngineInfo, TickFailure, TickInput, TickOutput, TickWindow

__all__ = ["Engine", "EngineFull", "EngineInfo"]


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
