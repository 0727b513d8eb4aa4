"""Judges of speech that nobody here trained: what Whisper reads in it, and how good DNSMOS says it sounds.

Neither is part of a model or a stage. Sound comes in as float32 mono at 24 kHz.
"""

import importlib.util
import json
from hashlib import blake2b
from pathlib import Path

import numpy as np
import onnxruntime
import soxr
from faster_whisper import WhisperModel

from streams.types import SAMPLE_RATE_HZ, Samples

JUDGE_RATE_HZ = 16_000
DNSMOS_SAMPLES = 144_160  # 9.01 s, what the network was made for
# From the network's scores to mean opinions, quadratic terms first: DNSMOS P.835 (arXiv 2110.01763), as published.
DNSMOS_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
DNSMOS_OVERALL = (-0.06766283, 1.11546468, 0.04602535)


class WhisperJudge:
    """Reads English speech. `directory` holds a model in faster-whisper's format.

    Readings are kept in the file `kept`, by the sound they are of: what did not change is not read again.
    """

    def __init__(self, directory: Path, kept: Path, num_threads: int = 1) -> None:
        self._model = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=num_threads)
        self._kept = kept
        self._readings: dict[str, str] = json.loads(kept.read_text()) if kept.is_file() else {}

    def read(self, pcm: Samples) -> str:
        key = blake2b(np.ascontiguousarray(pcm, np.float32).tobytes(), digest_size=12).hexdigest()
        if key not in self._readings:
            heard = soxr.resample(pcm, SAMPLE_RATE_HZ, JUDGE_RATE_HZ)
            segments, _ = self._model.transcribe(  # one temperature: the usual fallback to others draws at random
                heard, language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False
            )
            self._readings[key] = " ".join(segment.text for segment in segments)
            self._kept.write_text(json.dumps(self._readings, indent=0))
        return self._readings[key]


class DnsmosJudge:
    """Opinions from 1 to 5 on speech: (signal, overall). The network comes with the package `speechmos`."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("speechmos")
        if package is None or package.origin is None:
            raise FileNotFoundError("DNSMOS needs the package speechmos")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options)

    def score(self, pcm: Samples) -> tuple[float, float]:
        """Means over windows a second apart; what is shorter than a window is repeated, as its authors do."""
        heard = soxr.resample(np.clip(pcm, -1.0, 1.0), SAMPLE_RATE_HZ, JUDGE_RATE_HZ).astype(np.float32)
        while len(heard) < DNSMOS_SAMPLES:
            heard = np.concatenate((heard, heard))
        starts = range(0, len(heard) - DNSMOS_SAMPLES + 1, JUDGE_RATE_HZ)
        windows = [heard[start : start + DNSMOS_SAMPLES] for start in starts]
        raw = np.stack([self._session.run(None, {"input_1": window[None]})[0][0] for window in windows])
        signal, _, overall = raw.T
        return float(np.polyval(DNSMOS_SIGNAL, signal).mean()), float(np.polyval(DNSMOS_OVERALL, overall).mean())
