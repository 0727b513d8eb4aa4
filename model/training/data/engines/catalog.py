"""The engines by name: their voices, their licences and how to load them. Loading is what needs their packages."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from model.training.data.engines.engine import SpeechEngine
from model.training.data.held_out import held_out_reason


class EngineName(StrEnum):
    """Every engine there is an adapter for."""

    PIPER = "piper"


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """`licence` is that of the voices, whose output we keep; `tool_licence` that of the program which speaks."""

    name: EngineName
    voices: tuple[str, ...]
    licence: str
    tool_licence: str
    load: Callable[[], SpeechEngine]

    @property
    def training_voices(self) -> tuple[str, ...]:
        return tuple(voice for voice in self.voices if held_out_reason(self.name, voice) is None)


def _piper() -> SpeechEngine:
    from model.training.data.engines.piper import PiperEngine

    return PiperEngine()


CATALOG: dict[EngineName, EngineEntry] = {
    entry.name: entry for entry in (EngineEntry(EngineName.PIPER, ("joe",), "CC0-1.0", "GPL-3.0-or-later", _piper),)
}
