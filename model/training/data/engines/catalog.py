"""The engines by name: their voices, their licences and how to load them. Loading is what needs their packages."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from model.training.data.engines import espeak, flite
from model.training.data.engines.engine import SpeechEngine
from model.training.data.held_out import held_out_reason


class EngineName(StrEnum):
    """Every engine there is an adapter for."""

    PIPER = "piper"
    KOKORO = "kokoro"
    FLITE = "flite"
    ESPEAK = "espeak"


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """`licence` is that of the voices, whose output we keep; `tool_licence` that of the program which speaks.

    `load` takes the directory of downloaded packages.
    """

    name: EngineName
    voices: tuple[str, ...]
    licence: str
    tool_licence: str
    load: Callable[[Path], SpeechEngine]

    @property
    def training_voices(self) -> tuple[str, ...]:
        return tuple(voice for voice in self.voices if held_out_reason(self.name, voice) is None)

    @property
    def held_out_voices(self) -> tuple[str, ...]:
        return tuple(voice for voice in self.voices if held_out_reason(self.name, voice) is not None)


PIPER_VOICES = ("joe",)

# The first letter is the accent (a American, b British), the second the sex (f, m).
KOKORO_VOICES: tuple[str, ...] = tuple(
    """af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam am_echo
    am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa bf_alice bf_emma bf_isabella bf_lily bm_daniel
    bm_fable bm_george bm_lewis""".split()  # noqa: SIM905
)


def _piper(assets: Path) -> SpeechEngine:
    from model.training.data.engines.piper import PiperEngine

    return PiperEngine()


def _kokoro(assets: Path) -> SpeechEngine:
    from model.training.data.engines.kokoro import KokoroEngine

    return KokoroEngine(assets, KOKORO_VOICES)


def _flite(assets: Path) -> SpeechEngine:
    return flite.FliteEngine()


def _espeak(assets: Path) -> SpeechEngine:
    return espeak.EspeakEngine()


CATALOG: dict[EngineName, EngineEntry] = {
    entry.name: entry
    for entry in (
        EngineEntry(EngineName.PIPER, PIPER_VOICES, "CC0-1.0", "GPL-3.0-or-later", _piper),
        EngineEntry(EngineName.KOKORO, KOKORO_VOICES, "Apache-2.0", "Apache-2.0", _kokoro),
        EngineEntry(EngineName.FLITE, flite.VOICES, "Festival", "Festival", _flite),
        # What a GPL program says is not under the GPL; nobody claims anything on it.
        EngineEntry(EngineName.ESPEAK, espeak.VOICES, "CC0-1.0", "GPL-3.0-or-later", _espeak),
    )
}
