"""What a recording says before its first tick: whose it is, and what made it.

Kept as one MCAP metadata record of plain strings, so that any MCAP tool shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from streams.types import EngineInfo

FORMAT_VERSION = 1
HEADER_METADATA = "omniweave.recording"  # the first record of a file
END_METADATA = "omniweave.end"  # the last before the index, in a file that was closed
NORMAL_END = "closed"  # the session ended; anything else says why the recording did


@dataclass(frozen=True, slots=True)
class RecordingHeader:
    """`created_wall_ns` is the wall time of tick 0; `config_json` the session's configuration at its start."""

    session: str
    seed: int
    created_wall_ns: int
    engine: EngineInfo
    server_version: str
    config_json: str = "{}"


def header_metadata(header: RecordingHeader) -> dict[str, str]:
    created = datetime.fromtimestamp(header.created_wall_ns / 1e9, UTC)
    return {
        "format_version": str(FORMAT_VERSION),
        "session": header.session,
        "seed": str(header.seed),
        "created_at": created.isoformat(timespec="milliseconds"),  # for people
        "created_wall_ns": str(header.created_wall_ns),
        "engine": msgspec.json.encode(header.engine).decode(),
        "server_version": header.server_version,
        "config": header.config_json,
    }


def read_header(fields: Mapping[str, str]) -> RecordingHeader:
    version = fields.get("format_version", "none")
    if version != str(FORMAT_VERSION):
        raise ValueError(f"this build reads recordings of format version {FORMAT_VERSION}, this one has {version}")
    return RecordingHeader(
        session=fields["session"],
        seed=int(fields["seed"]),
        created_wall_ns=int(fields["created_wall_ns"]),
        engine=msgspec.json.decode(fields["engine"], type=EngineInfo),
        server_version=fields["server_version"],
        config_json=fields["config"],
    )
