"""llama.cpp as a rival, through the low-level interface of llama-cpp-python.

A GGUF file is requantized once to each format wanted, beside it or where told; `LlamaStep` then holds one context
whose sequences are all filled to the same length. Raises ImportError where llama-cpp-python is missing.
"""

import ctypes
import random
from pathlib import Path

import llama_cpp

# llama_ftype and ggml_type of llama.cpp's headers
FORMATS = {"q4_0": (2, 2), "mxfp4": (38, 39)}
UBATCH = 512


def requantize(source: Path, format: str, folder: Path) -> Path:
    """The same weights in `format`, every matrix and the token table alike. Done once; later calls find the file."""
    target = folder / f"{source.stem}.{format}.gguf"
    if target.exists():
        return target
    ftype, table_type = FORMATS[format]
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = ftype
    parameters.allow_requantize = True
    parameters.pure = True
    parameters.token_embedding_type = table_type
    parameters.output_tensor_type = table_type
    silence()
    partial = target.with_suffix(".partial")
    if llama_cpp.llama_model_quantize(str(source).encode(), str(partial).encode(), ctypes.byref(parameters)) != 0:
        raise RuntimeError(f"llama.cpp could not quantize {source} to {format}")
    return partial.rename(target)


@llama_cpp.llama_log_callback
def _discard(level: int, text: bytes, user_data: object) -> None:
    """Takes log lines and drops them."""


def silence() -> None:
    """llama.cpp logs every tensor otherwise."""
    llama_cpp.llama_log_set(_discard, ctypes.c_void_p(0))


class LlamaModel:
    """Weights in memory."""

    def __init__(self, path: Path) -> None:
        silence()
        llama_cpp.llama_backend_init()
        self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.handle:
            raise RuntimeError(f"llama.cpp could not load {path}")
        self.num_tokens = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.handle))


class LlamaStep:
    """`num_sequences` sequences of `context` random tokens. `step` decodes one more of each and forgets it again."""

    def __init__(self, model: LlamaModel, num_sequences: int, context: int, threads: int, flash: bool) -> None:
        parameters = llama_cpp.llama_context_default_params()
        per_sequence = (context + 1 + 255) // 256 * 256
        parameters.n_ctx = per_sequence * num_sequences
        parameters.n_seq_max = num_sequences
        parameters.n_batch = parameters.n_ubatch = UBATCH
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = int(flash)
        parameters.kv_unified = False
        self._context = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._context:
            raise RuntimeError("llama.cpp could not create a context")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(UBATCH, 0, 1)
        self._model, self._length, self._num_sequences = model, context, num_sequences
        self._random = random.Random(0)
        for start in range(0, context, UBATCH):
            self._decode([(0, position) for position in range(start, min(start + UBATCH, context))], last_only=True)
        for sequence in range(1, num_sequences):
            llama_cpp.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
        self._random_rows = [(sequence, context) for sequence in range(num_sequences)]

    def step(self) -> None:
        """One decode step with logits for every sequence."""
        self._decode(self._random_rows, last_only=False)
        for sequence in range(self._num_sequences):
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, self._length, -1)

    def prefill(self) -> None:
        """The whole context of the first sequence again, with logits for its last position."""
        llama_cpp.llama_memory_seq_rm(self._memory, 0, 0, -1)
        for start in range(0, self._length, UBATCH):
            rows = [(0, position) for position in range(start, min(start + UBATCH, self._length))]
            self._decode(rows, last_only=True)

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    def _decode(self, rows: list[tuple[int, int]], last_only: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(rows)
        for i, (sequence, position) in enumerate(rows):
            batch.token[i] = self._random.randrange(self._model.num_tokens)
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = not last_only or i == len(rows) - 1
        if llama_cpp.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama.cpp could not decode")
        llama_cpp.llama_get_logits_ith(self._context, -1)  # waits until they are there
