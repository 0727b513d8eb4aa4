"""Shards: tar files of FLAC and JSON as WebDataset reads them, each with a manifest that makes it random access.

    train-00003.tar     000192.flac 000192.json 000193.flac …
    train-00003.jsonl   one `ClipRecord` a line, with the clip's offset and length in the tar

A shard counts once its .jsonl exists: the tar is complete by then, so a killed build leaves nothing half written that
a reader could see. Both are written under a temporary name and renamed.
"""

import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ, ClipRecord

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ClipRecord)


def flac_of(pcm: NDArray[np.float32]) -> bytes:
    """16-bit FLAC. Samples beyond [-1, 1] are an error, not clipped in silence."""
    if not np.isfinite(pcm).all() or np.abs(pcm).max(initial=0.0) > 1.0:
        raise ValueError(f"samples must be finite and within [-1, 1]; the peak is {np.abs(pcm).max(initial=0.0)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, CLIP_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def pcm_of(flac: bytes) -> NDArray[np.float32]:
    """The samples of a FLAC file at the clip rate, mono."""
    pcm, rate_hz = soundfile.read(io.BytesIO(flac), dtype="float32")
    if rate_hz != CLIP_RATE_HZ or pcm.ndim != 1:
        raise ValueError(f"a clip must be mono at {CLIP_RATE_HZ} Hz, not {pcm.shape} at {rate_hz} Hz")
    return pcm


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Write the members and return where each one's bytes lie: (offset, length). Same members, same bytes."""
    spans = []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            spans.append((tar.offset + tarfile.BLOCKSIZE, len(content)))
            tar.addfile(info, io.BytesIO(content))
    return spans


def write_part(
    directory: Path, shard: str, clips: Sequence[tuple[ClipRecord, NDArray[np.float32]]]
) -> list[ClipRecord]:
    """Write the tar of a shard under its temporary name. The records come back with their places in it."""
    members: list[tuple[str, bytes]] = []
    for record, pcm in clips:
        members += [(f"{record.key}.flac", flac_of(pcm)), (f"{record.key}.json", _ENCODER.encode(record))]
    spans = write_tar(directory / f"{shard}.tar.part", members)[::2]
    return [
        msgspec.structs.replace(record, shard=shard, offset=offset, num_bytes=num_bytes)
        for (record, _), (offset, num_bytes) in zip(clips, spans, strict=True)
    ]


def commit_part(directory: Path, shard: str, records: Sequence[ClipRecord]) -> None:
    """Make a written shard visible, manifest last."""
    os.replace(directory / f"{shard}.tar.part", directory / f"{shard}.tar")
    write_whole(directory / f"{shard}.jsonl", b"".join(_ENCODER.encode(record) + b"\n" for record in records))


def read_manifest(path: Path) -> list[ClipRecord]:
    """The records of one shard."""
    return [_DECODER.decode(line) for line in path.read_bytes().splitlines()]


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that it exists either whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
