"""Text that layers are calibrated on: human small talk as chat, and dictionary glosses. Both are freely licensed.

- `chitchat-dataset` 0.9.0 on PyPI (MIT): `dataset.json` in the wheel.
- WordNet 3.0 (WordNet licence), in Debian's `wordnet-base`: the folder that holds `data.noun` and its siblings.

Ids in rows of equal length leave; the order is drawn from a fixed seed, so the same files give the same ids.
"""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

SEED = 0
PARTS_OF_SPEECH = ("adj", "adv", "noun", "verb")
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # the weights' own default


def dialogues(path: Path) -> list[str]:
    """Conversations as ChatML, the first speaker as the user."""
    with path.open(encoding="utf-8") as file:
        conversations = json.load(file).values()
    texts = []
    for conversation in conversations:
        turns = [" ".join(message["text"] for message in turn) for turn in conversation["messages"]]
        roles = ["user" if index % 2 == 0 else "assistant" for index in range(len(turns))]
        spoken = "".join(chatml(role, turn) for role, turn in zip(roles, turns, strict=True))
        texts.append(chatml("system", SYSTEM) + spoken)
    return texts


def chatml(role: str, text: str) -> str:
    """One turn."""
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def glosses(folder: Path) -> list[str]:
    """One line per synonym set: a word, its definition and examples."""
    texts = []
    for part in PARTS_OF_SPEECH:
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if not line.startswith(" "):  # the licence at the top is indented; wndb(5WN)
                fields, _, gloss = line.partition(" | ")
                texts.append(f"{fields.split()[4].replace('_', ' ')}: {gloss.strip()}\n")
    return texts


def rows(texts: list[str], tokenizer: Tokenizer, count: int, length: int) -> Tensor:
    """Shuffled texts end to end, cut into ids [count, length]."""
    shuffled = random.Random(SEED).sample(texts, len(texts))
    ids = list(take(ids_of(shuffled, tokenizer), count * length))
    if len(ids) < count * length:
        raise ValueError(f"the calibration text has only {len(ids)} tokens, {count * length} are needed")
    return torch.tensor(ids).view(count, length)


def ids_of(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[int]:
    """Ids of one text after the other, special tokens recognised."""
    for text in texts:
        yield from tokenizer.encode(text).ids


def take(ids: Iterator[int], count: int) -> Iterator[int]:
    """The first `count`, or all where there are fewer."""
    for _, token in zip(range(count), ids, strict=False):
        yield token
