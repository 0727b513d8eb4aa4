"""An MCAP file from its front, as far as it is whole: no index needed, so a file that was cut off reads like any other.

An MCAP file is 8 bytes of magic, then records of one byte opcode, 8 bytes little-endian length, and content
(https://mcap.dev/spec#records). `scan` finds where the chunks are without reading them; `read_messages` reads them.
"""

import struct
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Metadata
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC
from zstandard import ZstdError

RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of the content


@dataclass(frozen=True, slots=True)
class Span:
    """Where the content of a record lies in the file."""

    offset: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Scan:
    """`num_bytes` of the file are whole records; what follows was cut off while it was written."""

    metadata: Mapping[str, Mapping[str, str]]
    chunks: tuple[Span, ...]
    num_bytes: int


def scan(path: Path) -> Scan:
    metadata: dict[str, Mapping[str, str]] = {}
    chunks: list[Span] = []
    file_bytes = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
            raise ValueError(f"{path} is not an MCAP file")
        end = len(MCAP0_MAGIC)
        while end + RECORD_HEAD.size <= file_bytes:
            file.seek(end)
            opcode, num_bytes = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
            content = Span(end + RECORD_HEAD.size, num_bytes)
            if opcode == 0 or content.offset + num_bytes > file_bytes:  # no opcode is 0: a disk's unwritten block
                break
            end = content.offset + num_bytes
            if opcode == Opcode.CHUNK:
                chunks.append(content)
            elif opcode == Opcode.METADATA:
                record = Metadata.read(ReadDataStream(BytesIO(file.read(num_bytes))))
                metadata[record.name] = record.metadata
            elif opcode == Opcode.FOOTER:
                break
    return Scan(metadata, tuple(chunks), end)


def read_messages(path: Path, chunks: tuple[Span, ...], topics: Set[str]) -> Iterator[tuple[str, Message]]:
    """The messages of `topics` in the order in which they were written."""
    topic_of_channel: dict[int, str] = {}
    with path.open("rb") as file:
        for span in chunks:
            file.seek(span.offset)
            content = file.read(span.num_bytes)
            try:
                records = breakup_chunk(Chunk.read(ReadDataStream(BytesIO(content))), validate_crc=True)
            except (ValueError, struct.error, McapError, ZstdError) as error:
                raise ValueError(f"{path}: the chunk at byte {span.offset} is damaged: {error}") from error
            for record in records:
                if isinstance(record, Channel):
                    topic_of_channel[record.id] = record.topic
                elif isinstance(record, Message):
                    topic = topic_of_channel.get(record.channel_id, "")
                    if topic in topics:
                        yield topic, record
