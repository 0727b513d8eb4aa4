"""Shards: tar files as WebDataset reads them, each with a manifest that makes it random access.

    train-00003.tar     000192.flac 000192.json 000193.flac …
    train-00003.jsonl   one record a line, with the offset and length of its bytes in the tar

A shard counts once its .jsonl exists: the tar is complete by then, so a killed build leaves nothing half written that
a reader could see. Both are written under a temporary name and renamed.
"""

import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

_ENCODER = msgspec.json.Encoder()


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest line: `key` names the item in its set; the rest says where its bytes are, once it is in a shard."""

    key: str
    shard: str = ""
    offset: int = 0
    num_bytes: int = 0


RecordT = TypeVar("RecordT", bound=Placed)


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


def write_part(directory: Path, shard: str, items: Sequence[tuple[RecordT, str, bytes]]) -> list[RecordT]:
    """Write the tar of a shard under its temporary name, of (record, suffix, content). Returns records with places."""
    members: list[tuple[str, bytes]] = []
    for record, suffix, content in items:
        members += [(f"{record.key}{suffix}", content), (f"{record.key}.json", _ENCODER.encode(record))]
    spans = write_tar(directory / f"{shard}.tar.part", members)[::2]
    return [
        msgspec.structs.replace(record, shard=shard, offset=offset, num_bytes=num_bytes)
        for (record, _, _), (offset, num_bytes) in zip(items, spans, strict=True)
    ]


def commit_part(directory: Path, shard: str, records: Sequence[Placed]) -> None:
    """Make a written shard visible, manifest last."""
    os.replace(directory / f"{shard}.tar.part", directory / f"{shard}.tar")
    write_whole(directory / f"{shard}.jsonl", b"".join(_ENCODER.encode(record) + b"\n" for record in records))


def read_manifest(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """The records of one shard."""
    return msgspec.json.Decoder(kind).decode_lines(path.read_bytes())


def read_member(directory: Path, record: Placed) -> bytes:
    """A record's bytes in its tar."""
    file = os.open(directory / f"{record.shard}.tar", os.O_RDONLY)
    try:
        return os.pread(file, record.num_bytes, record.offset)
    finally:
        os.close(file)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that it exists either whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
