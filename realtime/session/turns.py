"""Where turns begin and end in a stream of sound: probabilities of speech in, starts, stops and idle timeouts out.

All times are milliseconds of the session's sound since its first sample; no clock is read. Silence detection by
duration serves both kinds of turn detection: "semantic" ones map their eagerness onto a duration, since the model
itself decides what to say.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from realtime.protocol.session_config import Eagerness, SemanticVad, TurnDetection
from realtime.session.vad import STEP_SAMPLES, VoiceActivity
from streams.types import SAMPLE_RATE_HZ, Samples

CHUNK_MS: Final = STEP_SAMPLES * 1000 // SAMPLE_RATE_HZ  # 32
CHUNKS_TO_START: Final = 2  # 64 ms: a click is no speech
HYSTERESIS: Final = 0.15  # speech goes on down to this much below the threshold, as in Silero's own utilities
_SEMANTIC_SILENCE_MS: Final[dict[Eagerness, int]] = {"high": 400, "auto": 700, "medium": 700, "low": 1_400}
_SEMANTIC_THRESHOLD: Final = 0.5
_SEMANTIC_PREFIX_MS: Final = 300


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech is heard. `start_ms` lies the prefix padding before it, but after the turn before."""

    start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Silence was long enough. `end_ms` is where the turn's sound ends, that silence included."""

    end_ms: int


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nobody spoke from `start_ms` to `end_ms`."""

    start_ms: int
    end_ms: int


TurnEvent: TypeAlias = SpeechStarted | SpeechStopped | IdleTimeout


@dataclass(frozen=True, slots=True)
class _Thresholds:
    speech: float
    prefix_ms: int
    silence_ms: int
    idle_ms: int | None


def _thresholds(config: TurnDetection) -> _Thresholds:
    if isinstance(config, SemanticVad):
        silence_ms = _SEMANTIC_SILENCE_MS[config.eagerness]
        return _Thresholds(_SEMANTIC_THRESHOLD, _SEMANTIC_PREFIX_MS, silence_ms, None)
    return _Thresholds(config.threshold, config.prefix_padding_ms, config.silence_duration_ms, config.idle_timeout_ms)


class TurnDetector:
    """Follows one microphone. Starts listening at `start_ms` of the session's sound."""

    def __init__(self, config: TurnDetection, activity: VoiceActivity, start_ms: int = 0) -> None:
        self._activity = activity
        self.configure(config)
        self.restart(start_ms)

    def configure(self, config: TurnDetection) -> None:
        """Listen by other thresholds from now on; a turn that is going on goes on."""
        self._thresholds = _thresholds(config)

    def restart(self, start_ms: int) -> None:
        """Forget everything heard; the next sample is at `start_ms`."""
        self._activity.reset()
        self._now_ms = start_ms
        self._earliest_ms = start_ms  # no turn reaches back before this
        self._loud_chunks = 0
        self._quiet_ms = 0
        self._speaking = False
        self._idle_from_ms: int | None = None

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def oldest_claim_ms(self) -> int:
        """Where the earliest turn that may still be found would begin."""
        reach_ms = self._thresholds.prefix_ms + CHUNK_MS * CHUNKS_TO_START
        return max(self._now_ms - reach_ms, self._earliest_ms)

    def expect_speech(self, after_ms: int) -> None:
        """Start counting idle time `after_ms` from now, which is when the answer has been played."""
        self._idle_from_ms = self._now_ms + after_ms

    def stop_expecting(self) -> None:
        self._idle_from_ms = None

    def push(self, pcm: Samples) -> list[TurnEvent]:
        """Listen to more sound; an empty array works on what a long one left over."""
        events: list[TurnEvent] = []
        for probability in self._activity.push(pcm):
            self._now_ms += CHUNK_MS
            event = self._while_speaking(probability) if self._speaking else self._while_quiet(probability)
            if event is not None:
                events.append(event)
        return events

    def _while_quiet(self, probability: float) -> TurnEvent | None:
        self._loud_chunks = self._loud_chunks + 1 if probability >= self._thresholds.speech else 0
        if self._loud_chunks < CHUNKS_TO_START:
            return self._idle()
        self._speaking = True
        self._quiet_ms = 0
        self.stop_expecting()
        speech_ms = self._now_ms - self._loud_chunks * CHUNK_MS
        return SpeechStarted(max(speech_ms - self._thresholds.prefix_ms, self._earliest_ms))

    def _while_speaking(self, probability: float) -> TurnEvent | None:
        is_quiet = probability < self._thresholds.speech - HYSTERESIS
        self._quiet_ms = self._quiet_ms + CHUNK_MS if is_quiet else 0
        if self._quiet_ms < max(self._thresholds.silence_ms, CHUNK_MS):
            return None
        self._speaking = False
        self._loud_chunks = 0
        self._earliest_ms = self._now_ms
        return SpeechStopped(self._now_ms)

    def _idle(self) -> IdleTimeout | None:
        start_ms, idle_ms = self._idle_from_ms, self._thresholds.idle_ms
        if start_ms is None or idle_ms is None or self._now_ms < start_ms + idle_ms:
            return None
        self.stop_expecting()
        self._earliest_ms = self._now_ms
        return IdleTimeout(start_ms, self._now_ms)
