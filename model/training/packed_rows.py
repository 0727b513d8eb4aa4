"""Samples side by side in the rows of a batch, none of which sees another: the tensors that a training forward reads.

A sample begins at rotary position 0 wherever in a row it stands, so its logits are those that it has alone. Padding
belongs to no sample and comes last.

Shape legend: B rows, T positions of a row, K codebooks, D model width, A positions with a frame, F with features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model.attention import temporal_mask
from model.training.sequences import Sample

PADDING = -1  # in `sample_BT`
SAMPLES_APART = 1 << 14  # more than a row ever holds


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """`order_BT` ranks a sample's positions and is their rotary position. `*_at` count through all of [B x T]."""

    ids_BT: Tensor  # 0 where the content is no id
    frame_at_A: Tensor
    frames_AK: Tensor
    feature_at_F: Tensor
    features_FD: Tensor  # [0, 0] where there are none
    stream_BT: Tensor
    position_BT: Tensor
    tick_BT: Tensor
    source_BT: Tensor
    order_BT: Tensor
    sample_BT: Tensor  # the number of the sample in the batch
    text_BT: Tensor
    text_weight_BT: Tensor
    audio_BTK: Tensor
    audio_weight_BT: Tensor
    num_samples: int
    streams_apart: bool = False

    @property
    def num_positions(self) -> int:
        """Without padding."""
        return int((self.sample_BT != PADDING).sum())

    def mask(self) -> Tensor | None:
        """Which position sees which, bool [B, T, T]; None where plain causal order says the same."""
        if self.streams_apart:
            visible = temporal_mask(self.tick_BT, self.order_BT)
        elif bool(((self.sample_BT == self.sample_BT[:, :1]) | (self.sample_BT == PADDING)).all()):
            return None  # one sample a row, padding behind it
        else:
            size = self.sample_BT.shape[1]
            visible = torch.ones(1, size, size, dtype=torch.bool, device=self.sample_BT.device).tril()
        return visible & (self.sample_BT[:, :, None] == self.sample_BT[:, None, :])


# --- which samples share a row --------------------------------------------------------------------------------------


def fill_row(sample_of: Callable[[int], Sample], num_positions: int) -> list[Sample]:
    """Samples 0, 1, … until one no longer fits. The first is cut where it is too long for a row of its own."""
    row = [sample_of(0).cut(num_positions)]
    left = num_positions - len(row[0])
    while True:
        sample = sample_of(len(row))
        if len(sample) > left:
            return row
        row.append(sample)
        left -= len(sample)


def first_fit(samples: Sequence[Sample], num_positions: int) -> list[list[int]]:
    """Every sample into the first row that has room for it: rows of sample numbers."""
    rows: list[list[int]] = []
    room: list[int] = []
    for number, sample in enumerate(samples):
        if len(sample) > num_positions:
            raise ValueError(f"a sample of {len(sample)} positions does not fit a row of {num_positions}")
        place = next((row for row, left in enumerate(room) if left >= len(sample)), len(rows))
        if place == len(rows):
            rows.append([])
            room.append(num_positions)
        rows[place].append(number)
        room[place] -= len(sample)
    return rows


@dataclass(frozen=True, slots=True)
class RowsConfig:
    """The size of a batch."""

    rows: int = 8
    positions: int = 256  # of a row

    def __post_init__(self) -> None:
        if self.rows < 1 or self.positions < 2:
            raise ValueError(f"a batch has rows of at least 2 positions, got {self.rows} of {self.positions}")


def fill_rows(sample_of: Callable[[int], Sample], index: int, config: RowsConfig) -> PackedRows:
    """Batch `index` of full rows. Every row has a range of sample numbers of its own, so batches share none."""
    samples: list[Sample] = []
    rows: list[list[int]] = []
    for row in range(index * config.rows, (index + 1) * config.rows):
        filled = fill_row(lambda number, first=row * SAMPLES_APART: sample_of(first + number), config.positions)
        rows.append(list(range(len(samples), len(samples) + len(filled))))
        samples += filled
    return pack_rows(samples, rows, config.positions)


# --- rows as tensors ------------------------------------------------------------------------------------------------


def pack(samples: Sequence[Sample], num_positions: int) -> PackedRows:
    """All samples in as few rows as first fit finds; `sample_BT` counts them in the order given."""
    return pack_rows(samples, first_fit(samples, num_positions), num_positions)


def pack_rows(samples: Sequence[Sample], rows: Sequence[Sequence[int]], num_positions: int) -> PackedRows:
    """Rows of sample numbers as tensors, padded to `num_positions`."""
    shape = (len(rows), num_positions)
    num_codebooks = samples[0].audio_TK.shape[1]
    ids, stream, position, tick, source, order, text = (np.zeros(shape, np.int64) for _ in range(7))
    sample_of = np.full(shape, PADDING, np.int64)
    text_weight, audio_weight = (np.zeros(shape, np.float32) for _ in range(2))
    audio = np.zeros((*shape, num_codebooks), np.int64)
    frame_at, frames, feature_at, features = [], [], [], []
    for row, numbers in enumerate(rows):
        start = 0
        for number in numbers:
            sample = samples[number]
            whole = slice(start, start + len(sample))
            sample_of[row, whole] = number
            order[row, whole] = np.arange(len(sample))
            text[row, whole], text_weight[row, whole] = sample.text_T, sample.text_weight_T
            audio[row, whole], audio_weight[row, whole] = sample.audio_TK, sample.audio_weight_T
            for block in sample.blocks:
                part = slice(start, start + len(block))
                stream[row, part], tick[row, part], source[row, part] = block.stream, block.tick, block.source
                position[row, part] = np.arange(block.position, block.position + len(block))
                flat = np.arange(row * num_positions + part.start, row * num_positions + part.stop)
                if block.ids is not None:
                    ids[row, part] = block.ids
                elif block.codes is not None:
                    frame_at.append(flat)
                    frames.append(block.codes)
                else:
                    assert block.features is not None, "a block has one of three contents"
                    feature_at.append(flat)
                    features.append(block.features)
                start = part.stop
    return PackedRows(
        ids_BT=torch.from_numpy(ids),
        frame_at_A=torch.from_numpy(np.concatenate(frame_at) if frame_at else np.zeros(0, np.int64)),
        frames_AK=torch.from_numpy(np.concatenate(frames) if frames else np.zeros((0, num_codebooks))).long(),
        feature_at_F=torch.from_numpy(np.concatenate(feature_at) if feature_at else np.zeros(0, np.int64)),
        features_FD=torch.from_numpy(np.concatenate(features) if features else np.zeros((0, 0), np.float32)),
        stream_BT=torch.from_numpy(stream),
        position_BT=torch.from_numpy(position),
        tick_BT=torch.from_numpy(tick),
        source_BT=torch.from_numpy(source),
        order_BT=torch.from_numpy(order),
        sample_BT=torch.from_numpy(sample_of),
        text_BT=torch.from_numpy(text),
        text_weight_BT=torch.from_numpy(text_weight),
        audio_BTK=torch.from_numpy(audio),
        audio_weight_BT=torch.from_numpy(audio_weight),
        num_samples=len(samples),
    )


def take_streams_apart(rows: PackedRows) -> PackedRows:
    """The same positions with each stream in a stretch of its own; the temporal mask then tells who sees whom.

    Raises ValueError where a sample goes back in time, as a rewritten past does: ticks alone do not order that one.
    """
    same_sample = rows.sample_BT[:, 1:] == rows.sample_BT[:, :-1]
    if bool((same_sample & (rows.tick_BT[:, 1:] < rows.tick_BT[:, :-1])).any()):
        raise ValueError("a sample's ticks fall somewhere: its streams cannot be taken apart")
    num_rows, num_positions = rows.ids_BT.shape
    key_BT = torch.where(rows.sample_BT == PADDING, torch.iinfo(torch.int64).max, rows.stream_BT)
    from_BT = key_BT.argsort(dim=1, stable=True)
    to_BT = from_BT.argsort(dim=1)
    first_B1 = torch.arange(num_rows, device=from_BT.device)[:, None] * num_positions
    to_N = (to_BT + first_B1).flatten()

    def moved(tensor: Tensor) -> Tensor:
        return tensor.flatten(0, 1)[(from_BT + first_B1).flatten()].view_as(tensor)

    return replace(
        rows,
        ids_BT=moved(rows.ids_BT),
        frame_at_A=to_N[rows.frame_at_A],
        feature_at_F=to_N[rows.feature_at_F],
        stream_BT=moved(rows.stream_BT),
        position_BT=moved(rows.position_BT),
        tick_BT=moved(rows.tick_BT),
        source_BT=moved(rows.source_BT),
        order_BT=moved(rows.order_BT),
        sample_BT=moved(rows.sample_BT),
        text_BT=moved(rows.text_BT),
        text_weight_BT=moved(rows.text_weight_BT),
        audio_BTK=moved(rows.audio_BTK),
        audio_weight_BT=moved(rows.audio_weight_BT),
        streams_apart=True,
    )
