"""A training sample as a safetensors file, and back: sessions are tokenized once, then read by every epoch.

    blocks    int64 [blocks, 7]: stream, source, tick, position, content (0 ids, 1 codes, 2 features), length, pinned
    ids, codes, features: the contents of each kind one after the other, in the order of the blocks
    text, text_weight, audio, audio_weight: the targets

Shape legend: T positions, K codebooks, D features.
"""

import os
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from model.training.sequences import Sample
from streams.types import Source, Stream, TokenBlock

IDS, CODES, FEATURES = range(3)


def save_sample(sample: Sample, path: Path) -> None:
    """The file appears whole or not at all."""
    num_codebooks = sample.audio_TK.shape[1]
    contents: dict[int, list[np.ndarray]] = {IDS: [], CODES: [], FEATURES: []}
    table = []
    for block in sample.blocks:
        for kind, content in ((IDS, block.ids), (CODES, block.codes), (FEATURES, block.features)):
            if content is not None:
                contents[kind].append(content)
                table.append(
                    (block.stream, block.source, block.tick, block.position, kind, len(block), int(block.pinned))
                )
    empty = {
        IDS: np.zeros(0, np.int32),
        CODES: np.zeros((0, num_codebooks), np.int32),
        FEATURES: np.zeros((0, 0), np.float32),
    }
    arrays = {
        name: np.ascontiguousarray(np.concatenate(contents[kind]) if contents[kind] else empty[kind])
        for name, kind in (("ids", IDS), ("codes", CODES), ("features", FEATURES))
    }
    arrays["blocks"] = np.array(table, np.int64).reshape(-1, 7)
    arrays |= {"text": sample.text_T, "text_weight": sample.text_weight_T}
    arrays |= {"audio": sample.audio_TK, "audio_weight": sample.audio_weight_T}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    save_file(arrays, part)
    part.replace(path)


def load_sample(path: Path) -> Sample:
    arrays = load_file(path)
    at = {IDS: 0, CODES: 0, FEATURES: 0}
    names = {IDS: "ids", CODES: "codes", FEATURES: "features"}
    blocks = []
    for stream, source, tick, position, kind, length, pinned in arrays["blocks"].tolist():
        content = arrays[names[kind]][at[kind] : at[kind] + length]
        at[kind] += length
        blocks.append(
            TokenBlock(
                Stream(stream),
                Source(source),
                tick,
                position,
                ids=content if kind == IDS else None,
                codes=content if kind == CODES else None,
                features=content if kind == FEATURES else None,
                pinned=bool(pinned),
            )
        )
    return Sample(tuple(blocks), arrays["text"], arrays["text_weight"], arrays["audio"], arrays["audio_weight"])
