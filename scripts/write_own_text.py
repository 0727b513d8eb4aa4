"""Has a checkpoint write the text it is calibrated on: chats, both sides of them, and prose. Samples from a fixed seed.

    python -m scripts.write_own_text EXACT_DIR own.json

EXACT_DIR holds the unquantized weights (scripts/import_smollm2.py --method exact). The text is what the weights think
is likely, not what is true or kind: it is for calibration only. Plain torch, sequence by sequence: slow.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model.cache import SlotCache
from model.checkpoint import load_checkpoint
from scripts.calibration_text import SYSTEM, chatml
from scripts.perplexity import TextModel, load_text_model

SEED = 0
TOP_K, TOP_P = 200, 0.97  # at temperature 1: wide, to see more of the model than its favourite phrases
CHAT_START = chatml("system", SYSTEM) + "<|im_start|>user\n"
PROSE_STARTS = ("The", "In", "When", "I", "It", "We", "My", "This", "How", "She", "He", "Once")
MAX_NEW_TOKENS = 420


@torch.inference_mode()
def continue_text(model: TextModel, ids: Sequence[int], count: int, generator: torch.Generator) -> list[int]:
    """Sample `count` tokens after `ids`; returns both."""
    cache = SlotCache(model.decoder.config, 1, len(ids) + count, torch.float32)
    written, waiting = list(ids), list(ids)
    for _ in range(count):
        cached_rows, _ = cache.append(0, [0] * len(waiting))
        hidden = model.decoder.forward_cached(model.table[waiting], cached_rows, cache)[-1]
        top, tokens = (hidden @ model.table.T).softmax(dim=-1).topk(TOP_K)
        top = torch.where(top.cumsum(dim=-1) - top < TOP_P, top, 0.0)
        waiting = [int(tokens[torch.multinomial(top, 1, generator=generator)])]
        written += waiting
    return written


def main() -> None:
    """Write one JSON list of texts."""
    parser = argparse.ArgumentParser(description="Sample calibration text from a checkpoint.")
    parser.add_argument("source", type=Path, help="a checkpoint that is not quantized")
    parser.add_argument("target", type=Path, help="JSON file to write")
    parser.add_argument("--tokens", type=int, default=MAX_NEW_TOKENS, help="new tokens in each text")
    options = parser.parse_args()
    model = load_text_model(load_checkpoint(options.source))
    tokenizer = Tokenizer.from_file(str(options.source / "tokenizer.json"))
    generator = torch.Generator().manual_seed(SEED)
    starts = [CHAT_START] * len(PROSE_STARTS) + [f"<|endoftext|>{word}" for word in PROSE_STARTS]
    texts = []
    for start in starts:
        ids = continue_text(model, tokenizer.encode(start).ids, options.tokens, generator)
        texts.append(tokenizer.decode(ids, skip_special_tokens=False))
    options.target.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
