"""Perplexity of checkpoints on a text that nothing was calibrated on. Prints one line per checkpoint.

    OMP_NUM_THREADS=2 python -m scripts.perplexity DIR... [--text tests/fixtures/heldout.txt] [--context 1024]
    OMP_NUM_THREADS=1 python -m scripts.perplexity weights/nano --kv-cache bfloat16 int8

The first line is the reference of the last two columns: the ratio of perplexities, and the mean divergence of the
next-token distribution, KL(reference ‖ this) in nats, which is less noisy on a short text. The text is cut into
windows of `--context` tokens; each token is predicted from those before it in its window. Plain torch, float32,
straight through embedding, decoder and head: no time, no encodings, as text was trained. `--kv-cache` measures each
checkpoint also as it is served: through the native decoder with its slot cache in these formats, and the native head.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from model.backends import BoundNativeDecoder, native_decoder
from model.cache import SlotCache
from model.checkpoint import Checkpoint, as_tensor, load_checkpoint, num_bytes_of
from model.config import ModelConfig
from model.decoder import Decoder
from model.fp4 import PackedFp4, dequantize
from model.kernels.native import NativeLinear, NativePool
from model.kv_format import KvFormat
from model.loading import load_tokenizer

HELDOUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "heldout.txt"
FIRST_TOKEN = "<|endoftext|>"  # separates documents in the weights' training text
ROWS_OF_LOGITS = 256  # at once: 49,152 float32 logits a row
TEXT_TABLE = "embedding.text.weight"


class TextPath(Protocol):
    """Ids to logits, whichever arithmetic is between them."""

    def hidden(self, ids_T: Tensor) -> Tensor:
        """Hidden states [T, D] of one window."""
        ...

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """[N, V] float32."""
        ...


@dataclass(frozen=True, slots=True)
class TextModel:
    """A checkpoint's text path in float32: the table, read both ways, and the decoder."""

    table: Tensor
    decoder: Decoder

    @torch.inference_mode()
    def hidden(self, ids_T: Tensor) -> Tensor:
        """Hidden states [T, D] of one window."""
        return self.decoder(self.table[ids_T][None], torch.arange(len(ids_T))[None])[0]

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """[N, V] float32."""
        return hidden_ND @ self.table.T


@dataclass(frozen=True, slots=True)
class ServedTextModel:
    """The same path as a server with the native backend runs it."""

    table: Tensor
    decoder: BoundNativeDecoder
    head: NativeLinear
    cache: SlotCache  # of one slot

    def hidden(self, ids_T: Tensor) -> Tensor:
        """Hidden states [T, D] of one window. All at once: the bits are those of steps one by one."""
        self.cache.clear(0)
        rows, _ = self.cache.append(0, [0] * len(ids_T))
        return self.decoder.forward_cached(self.table[ids_T], rows, self.cache)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """[N, V] float32."""
        return self.head(hidden_ND)


def load_text_model(checkpoint: Checkpoint) -> TextModel:
    """Unpack what predicts text. Raises ValueError where the head is not tied to the table."""
    config = ModelConfig.from_json(checkpoint.model)
    if not config.tied_text_head:
        raise ValueError(f"{config.name} has a text head of its own; this script measures tied ones")
    unpacked = {name: as_tensor(tensor).float() for name, tensor in checkpoint.tensors.items()}
    decoder = Decoder(config.decoder)
    layers = {name.removeprefix("decoder."): t for name, t in unpacked.items() if name.startswith("decoder.")}
    decoder.load_state_dict(layers)
    return TextModel(unpacked[TEXT_TABLE], decoder)


def load_served_text_model(
    checkpoint: Checkpoint, kv_format: KvFormat, context: int, num_threads: int
) -> ServedTextModel:
    """Bind what predicts text to a slot of `context` positions. Raises ValueError where it is not stored in FP4."""
    config = ModelConfig.from_json(checkpoint.model)
    table = checkpoint.tensors[TEXT_TABLE]
    if not isinstance(table, PackedFp4) or not config.tied_text_head:
        raise ValueError(f"{config.name} does not keep its table and head as one FP4 matrix")
    cache = SlotCache(config.decoder, 1, context, kv_format.dtype)
    pool = NativePool(num_threads)
    decoder = native_decoder(config.decoder, checkpoint.tensors, cache, pool)
    return ServedTextModel(dequantize(table), decoder, NativeLinear(table, pool), cache)


def text_ids(directory: Path, text: str) -> Tensor:
    """The text as ids, after the token that begins a document."""
    tokenizer = load_tokenizer(directory, ModelConfig.from_json(load_checkpoint(directory).model))
    return torch.tensor([tokenizer.special(FIRST_TOKEN), *tokenizer.encode(text)])


@torch.inference_mode()
def measure(model: TextPath, reference: TextPath, ids_T: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood and divergence from the reference, in nats, of each token after the first."""
    losses, divergences = [], []
    for start in range(0, len(ids_T) - 1, context):
        window = ids_T[start : start + context + 1]
        hidden, reference_hidden = model.hidden(window[:-1]), reference.hidden(window[:-1])
        for rows in torch.arange(len(window) - 1).split(ROWS_OF_LOGITS):
            logp = model.logits(hidden[rows]).log_softmax(dim=-1)
            reference_logp = reference.logits(reference_hidden[rows]).log_softmax(dim=-1)
            losses.append(functional.nll_loss(logp, window[rows + 1], reduction="none"))
            divergences.append((reference_logp.exp() * (reference_logp - logp)).sum(dim=-1))
    return torch.cat(losses), torch.cat(divergences)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare checkpoints by their perplexity on a text.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="directories; the first is the reference")
    parser.add_argument("--text", type=Path, default=HELDOUT)
    parser.add_argument("--context", type=int, default=1024)
    formats = parser.add_argument("--kv-cache", type=KvFormat, nargs="*", default=[], metavar="FORMAT")
    formats.help = f"also as served, with the slot cache in {' and '.join(KvFormat)}"
    options = parser.parse_args()
    ids_T = text_ids(options.checkpoints[0], options.text.read_text(encoding="utf-8"))
    print(f"{options.text.name}: {len(ids_T) - 1:,} tokens, windows of {options.context}")
    print(f"{'checkpoint':40} {'MB':>7} {'perplexity':>10} {'ratio':>7} {'KL':>9}")
    reference = load_text_model(load_checkpoint(options.checkpoints[0]))
    num_threads = torch.get_num_threads()  # OMP_NUM_THREADS where that is set
    reference_loss: Tensor | None = None
    for directory in options.checkpoints:
        checkpoint = load_checkpoint(directory)
        megabytes = sum(num_bytes_of(tensor) for tensor in checkpoint.tensors.values()) / 1e6
        paths: dict[str, TextPath] = {directory.name: load_text_model(checkpoint)}
        for kv_format in options.kv_cache:
            served = load_served_text_model(checkpoint, kv_format, options.context, num_threads)
            paths[f"{directory.name}, native, {kv_format} KV"] = served
        for name, path in paths.items():
            losses, divergences = measure(path, reference, ids_T, options.context)
            loss = losses.mean()
            reference_loss = loss if reference_loss is None else reference_loss
            ratio = (loss - reference_loss).exp()
            figures = f"{megabytes:7.1f} {loss.exp():10.3f} {ratio:7.4f} {divergences.mean():9.5f}"
            print(f"{name:40} {figures}", flush=True)


if __name__ == "__main__":
    main()
