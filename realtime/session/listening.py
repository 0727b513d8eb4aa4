"""One session's microphone: sound in the wire's format or as chunks → windows for ticks, turns for the conversation.

Sound goes three ways: into ticks (`AudioInput`), to the turn detector, and into the buffer that a commit turns into
an item. Positions are samples since the session's first, and milliseconds of them. Reads no clock; bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from realtime.protocol.audio import WireDecoder
from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_config import AudioInputConfig
from realtime.session.limits import SessionLimits
from realtime.session.turns import TurnDetector, TurnEvent
from realtime.session.vad import VoiceActivity
from streams.audio import AudioInput, AudioOverflow, AudioWindow
from streams.resample import float_to_pcm16, pcm16_to_float
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK, AudioChunk, Samples

MIN_COMMIT_MS: Final = 100  # what the hosted service asks of a commit, and clients expect
BYTES_PER_SAMPLE: Final = 2


@dataclass(frozen=True, slots=True)
class VoiceTurn:
    """A piece of sound that became an item. `pcm` is None where sounds are not kept."""

    start_ms: int
    end_ms: int
    pcm: Samples | None

    @property
    def first_sample(self) -> int:
        return self.start_ms * SAMPLE_RATE_HZ // 1000


class Listener:
    """`keeps_sound`: whether committed turns carry their sound, for models that can be told it again."""

    def __init__(
        self,
        config: AudioInputConfig,
        limits: SessionLimits,
        make_activity: Callable[[], VoiceActivity],
        keeps_sound: bool,
    ) -> None:
        self._limits = limits
        self._make_activity = make_activity
        self._keeps_sound = keeps_sound
        self._input = AudioInput(limits.max_buffered_audio_s)
        self._max_turn_samples = int(limits.max_turn_audio_s * SAMPLE_RATE_HZ)
        self._num_pushed = 0  # samples since the session's first
        self._kept_from = 0  # where the buffer of the next commit begins
        self._committed = 0  # where the latest turn ended
        self._kept = bytearray()  # that buffer, as PCM16; empty where sounds are not kept
        self._detector: TurnDetector | None = None
        self._config = config
        self._decoder = WireDecoder(config.format)
        self._set_detector(config)

    def configure(self, config: AudioInputConfig) -> None:
        if config.format != self._config.format:
            self._decoder = WireDecoder(config.format)
        if config.turn_detection != self._config.turn_detection:
            self._set_detector(config)
        self._config = config

    def _set_detector(self, config: AudioInputConfig) -> None:
        if config.turn_detection is None:
            self._detector = None
        elif self._detector is None:
            self._detector = TurnDetector(config.turn_detection, self._make_activity(), self.pushed_ms)
        else:
            self._detector.configure(config.turn_detection)

    # --- positions --------------------------------------------------------------------------------------------------

    @property
    def pushed_ms(self) -> int:
        return self._num_pushed * 1000 // SAMPLE_RATE_HZ

    @property
    def num_heard(self) -> int:
        """Samples that ticks have taken."""
        return self._num_pushed - self._input.buffered_samples

    def num_heard_after(self, takes_window: bool) -> int:
        """The same, once the coming tick has taken its window."""
        taken = min(SAMPLES_PER_TICK, self._input.buffered_samples) if takes_window else 0
        return self.num_heard + taken

    @property
    def num_committed(self) -> int:
        """Samples up to the end of the latest turn."""
        return self._committed

    @property
    def num_waiting(self) -> int:
        return self._input.buffered_samples

    @property
    def waiting_ticks(self) -> int:
        """Whole windows that no tick has taken yet."""
        return self._input.buffered_ticks

    @property
    def is_speaking(self) -> bool:
        return self._detector is not None and self._detector.speaking

    # --- sound in ---------------------------------------------------------------------------------------------------

    def append(self, data: bytes) -> list[TurnEvent]:
        """Bytes in the session's input format, which follow the last ones without a gap."""
        pcm = self._decoder.push(data)
        return self.hear(AudioChunk(self._input.next_pts_us, pcm)) if len(pcm) else []

    def hear(self, chunk: AudioChunk) -> list[TurnEvent]:
        """A chunk with a time of its own. Returns the turns that begin or end in what was looked at."""
        try:
            self._input.push(chunk)
        except AudioOverflow as overflow:
            raise ProtocolError(str(overflow), code="input_audio_buffer_full", param="audio") from None
        self._forget_old()  # here, because the turns found last time have been taken by now
        self._num_pushed += len(chunk.pcm)
        if self._keeps_sound:
            self._kept += float_to_pcm16(chunk.pcm).tobytes()
        return self.listen(chunk.pcm)

    def listen(self, pcm: Samples | None = None) -> list[TurnEvent]:
        """Look for turns; without new sound, in what a long append left over."""
        if self._detector is None:
            return []
        return self._detector.push(pcm if pcm is not None else np.zeros(0, np.float32))

    def _forget_old(self) -> None:
        """Keep what a turn may still claim: all of it, or what precedes speech where turns are detected."""
        oldest = self._num_pushed - self._max_turn_samples
        if self._detector is not None and not self._detector.speaking:
            oldest = max(oldest, self._detector.oldest_claim_ms * SAMPLE_RATE_HZ // 1000)
        self._drop_before(oldest)

    def _drop_before(self, sample: int) -> None:
        if sample > self._kept_from:
            del self._kept[: (sample - self._kept_from) * BYTES_PER_SAMPLE]
            self._kept_from = sample

    # --- turns out --------------------------------------------------------------------------------------------------

    def take_turn(self, start_ms: int, end_ms: int) -> VoiceTurn:
        """The sound of a turn that was detected; what follows it stays."""
        return self._take(max(start_ms * SAMPLE_RATE_HZ // 1000, self._kept_from), end_ms * SAMPLE_RATE_HZ // 1000)

    def commit(self) -> VoiceTurn:
        """All sound since the last turn, as one. Raises `ProtocolError` where that is next to nothing."""
        waiting_ms = (self._num_pushed - self._kept_from) * 1000 // SAMPLE_RATE_HZ
        if waiting_ms < MIN_COMMIT_MS:
            raise ProtocolError(
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {waiting_ms}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        turn = self._take(self._kept_from, self._num_pushed)
        self._restart_detector()
        return turn

    def clear(self) -> None:
        """Forget what no tick has taken yet and what no turn has claimed."""
        self._input.clear()
        self._drop_before(self._num_pushed)
        self._restart_detector()

    def _take(self, start: int, end: int) -> VoiceTurn:
        end = min(end, self._num_pushed)
        pcm: Samples | None = None
        if self._keeps_sound:
            first, last = (sample - self._kept_from for sample in (start, end))
            data = bytes(self._kept[first * BYTES_PER_SAMPLE : last * BYTES_PER_SAMPLE])
            pcm = pcm16_to_float(np.frombuffer(data, np.int16))
        self._drop_before(end)
        self._committed = end
        return VoiceTurn(start * 1000 // SAMPLE_RATE_HZ, end * 1000 // SAMPLE_RATE_HZ, pcm)

    def _restart_detector(self) -> None:
        if self._detector is not None:
            self._detector.restart(self.pushed_ms)

    def expect_speech(self, after_ms: int) -> None:
        """An answer ended that plays for `after_ms` yet: from then on, silence counts toward the idle timeout."""
        if self._detector is not None:
            self._detector.expect_speech(after_ms)

    def stop_expecting(self) -> None:
        if self._detector is not None:
            self._detector.stop_expecting()

    # --- windows out ------------------------------------------------------------------------------------------------

    def take_window(self, tick: int) -> AudioWindow:
        return self._input.take_window(tick)
