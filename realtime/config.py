"""What a server is told at its start, checked once and never changed.

Command-line flags and tests build a `ServerConfig`; a bad value raises `ValueError` with the value in the message.
"""

import logging
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from realtime.auth import KeyRing, is_loopback
from realtime.limits import Limits
from realtime.rtc_config import RtcConfig

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_MAX_SESSIONS = 8


class EngineKind(StrEnum):
    MODEL = "model"
    ECHO = "echo"  # says back what it hears and reads; no weights, for tests and for trying out clients


class Backend(StrEnum):
    """How the packed weights are multiplied."""

    AUTO = "auto"  # the fastest that this machine runs
    NATIVE = "native"
    TRITON = "triton"  # needs a CUDA GPU
    DEQUANTIZED = "dequantized"
    REFERENCE = "reference"


class KvCache(StrEnum):
    """What keys and values are rounded to in the cache."""

    AUTO = "auto"  # int8 on the native backend, else bfloat16
    BFLOAT16 = "bfloat16"
    INT8 = "int8"  # half the memory, and faster where many sessions or long ones are served


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def number(self) -> int:
        return logging.getLevelNamesMapping()[self.upper()]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which engine runs, on what, and for how many. `num_threads` None takes every core that is there."""

    kind: EngineKind = EngineKind.MODEL
    weights: Path | None = None
    backend: Backend = Backend.AUTO
    kv_cache: KvCache = KvCache.AUTO
    max_sessions: int = DEFAULT_MAX_SESSIONS
    num_threads: int | None = None

    def __post_init__(self) -> None:
        if self.max_sessions < 1:
            raise ValueError(f"max_sessions must be at least 1, got {self.max_sessions}")
        if self.num_threads is not None and self.num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, got {self.num_threads}")
        if self.kind is EngineKind.MODEL:
            if self.weights is None:
                raise ValueError("a model engine needs a weights directory, got none")
            if not (self.weights / "config.json").is_file():
                raise ValueError(f"no weights at {self.weights}: it has no config.json")


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """A certificate chain and its private key, both PEM."""

    cert: Path
    key: Path

    def __post_init__(self) -> None:
        for path in (self.cert, self.key):
            if not path.is_file():
                raise ValueError(f"TLS file not found: {path}")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    engine: EngineConfig
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls: TlsConfig | None = None
    keys: KeyRing = field(default_factory=KeyRing)
    allow_no_auth: bool = False
    limits: Limits = field(default_factory=Limits)
    rtc: RtcConfig = field(default_factory=RtcConfig)
    record_dir: Path | None = None
    browser_dir: Path | None = None
    log_level: LogLevel = LogLevel.INFO

    def __post_init__(self) -> None:
        if not self.host or "/" in self.host or " " in self.host:
            raise ValueError(f"host must be a name or an address, got {self.host!r}")
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port must be in [0, 65535], got {self.port}")
        if not self.is_local and not self.keys and not self.allow_no_auth:
            raise ValueError(
                f"{self.host} can be reached from other machines and no API key is set: "
                "give --api-key-file or --api-key-env, or --insecure-no-auth to serve anyone"
            )
        if self.record_dir is not None and self.record_dir.exists() and not self.record_dir.is_dir():
            raise ValueError(f"recordings need a directory, but {self.record_dir} is a file")

    @property
    def is_local(self) -> bool:
        return is_loopback(self.host)

    def url(self, port: int) -> str:
        """Where a client on this machine finds the server that listens on `port`."""
        name = "localhost" if self.is_local or self.host in ("0.0.0.0", "::") else self.host
        if ":" in name:
            name = f"[{name}]"
        return f"{'https' if self.tls else 'http'}://{name}:{port}"
