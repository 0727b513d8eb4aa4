"""Perplexity of checkpoints on a text that nothing was calibrated on. Prints one line per checkpoint.

    OMP_NUM_THREADS=2 python -m scripts.perplexity DIR... [--text tests/fixtures/heldout.txt] [--context 1024]

The first checkpoint is the reference of the last two columns: the ratio of perplexities, and the mean divergence of
the next-token distribution, KL(reference ‖ this) in nats, which is less noisy on a short text. The text is cut into
windows of `--context` tokens; each token is predicted from those before it in its window. Plain torch, float32,
straight through embedding, decoder and head: no time, no encodings, as text was trained.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from model.checkpoint import Checkpoint, load_checkpoint, num_bytes_of
from model.config import ModelConfig
from model.decoder import Decoder
from model.fp4 import PackedFp4, dequantize
from model.loading import load_tokenizer

HELDOUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "heldout.txt"
FIRST_TOKEN = "<|endoftext|>"  # separates documents in the weights' training text
ROWS_OF_LOGITS = 256  # at once: 49,152 float32 logits a row


@dataclass(frozen=True, slots=True)
class TextModel:
    """A checkpoint's text path in float32: the table, read both ways, and the decoder."""

    table: Tensor
    decoder: Decoder

    @torch.inference_mode()
    def hidden(self, ids_T: Tensor) -> Tensor:
        """Hidden states [T, D] of one window."""
        return self.decoder(self.table[ids_T][None], torch.arange(len(ids_T))[None])[0]


def load_text_model(checkpoint: Checkpoint) -> TextModel:
    """Unpack what predicts text. Raises ValueError where the head is not tied to the table."""
    config = ModelConfig.from_json(checkpoint.model)
    if not config.tied_text_head:
        raise ValueError(f"{config.name} has a text head of its own; this script measures tied ones")
    unpacked = {
        name: dequantize(tensor) if isinstance(tensor, PackedFp4) else tensor.float()
        for name, tensor in checkpoint.tensors.items()
    }
    decoder = Decoder(config.decoder)
    layers = {name.removeprefix("decoder."): t for name, t in unpacked.items() if name.startswith("decoder.")}
    decoder.load_state_dict(layers)
    return TextModel(unpacked["embedding.text.weight"], decoder)


def text_ids(directory: Path, text: str) -> Tensor:
    """The text as ids, after the token that begins a document."""
    tokenizer = load_tokenizer(directory, ModelConfig.from_json(load_checkpoint(directory).model))
    return torch.tensor([tokenizer.special(FIRST_TOKEN), *tokenizer.encode(text)])


@torch.inference_mode()
def measure(model: TextModel, reference: TextModel, ids_T: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood and divergence from the reference, in nats, of each token after the first."""
    losses, divergences = [], []
    for start in range(0, len(ids_T) - 1, context):
        window = ids_T[start : start + context + 1]
        hidden, reference_hidden = model.hidden(window[:-1]), reference.hidden(window[:-1])
        for rows in torch.arange(len(window) - 1).split(ROWS_OF_LOGITS):
            logp = (hidden[rows] @ model.table.T).log_softmax(dim=-1)
            reference_logp = (reference_hidden[rows] @ reference.table.T).log_softmax(dim=-1)
            losses.append(functional.nll_loss(logp, window[rows + 1], reduction="none"))
            divergences.append((reference_logp.exp() * (reference_logp - logp)).sum(dim=-1))
    return torch.cat(losses), torch.cat(divergences)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare checkpoints by their perplexity on a text.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="directories; the first is the reference")
    parser.add_argument("--text", type=Path, default=HELDOUT)
    parser.add_argument("--context", type=int, default=1024)
    options = parser.parse_args()
    ids_T = text_ids(options.checkpoints[0], options.text.read_text(encoding="utf-8"))
    print(f"{options.text.name}: {len(ids_T) - 1:,} tokens, windows of {options.context}")
    print(f"{'checkpoint':40} {'MB':>7} {'perplexity':>10} {'ratio':>7} {'KL':>7}")
    reference = load_text_model(load_checkpoint(options.checkpoints[0]))
    reference_loss: float | None = None
    for directory in options.checkpoints:
        checkpoint = load_checkpoint(directory)
        megabytes = sum(num_bytes_of(tensor) for tensor in checkpoint.tensors.values()) / 1e6
        losses, divergences = measure(load_text_model(checkpoint), reference, ids_T, options.context)
        loss = losses.mean()
        reference_loss = float(loss) if reference_loss is None else reference_loss
        ratio = (loss - reference_loss).exp()
        print(
            f"{directory.name:40} {megabytes:7.1f} {loss.exp():10.3f} {ratio:7.4f} {divergences.mean():7.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
