"""How much one client may ask of the server: rates, counts, sizes and silences.

Pure bookkeeping: the time comes in as `now_us`, an answer goes out. Never sleeps, never reads a clock, and holds a
bounded amount of memory however many addresses knock.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from realtime.refusal import Refusal, RefusalCode

MIB = 1024 * 1024
MAX_TRACKED_ADDRESSES = 4_096  # the least recently seen address is forgotten beyond this


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection, one key and one address may use. Rates pace a client; counts refuse it."""

    max_frame_bytes: int = 20 * MIB  # one `input_audio_buffer.append` may carry 15 MiB of base64
    events_per_s: float = 500.0  # a client that sends 10 ms of sound an event needs 100
    event_burst: int = 2_000
    bytes_per_s: float = 4.0 * MIB  # 24 kHz PCM16 in base64 is 64 kB a second
    byte_burst: int = 32 * MIB
    max_sessions_per_key: int = 64
    max_sessions_per_address: int = 32
    connects_per_min: float = 120.0  # from one address
    connect_burst: int = 40
    idle_timeout_s: float = 900.0  # without any event from the client
    max_session_s: float = 315_360_000.0  # ten years: a session ends when somebody ends it
    write_timeout_s: float = 10.0  # a client that does not read for this long is closed

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be greater than 0, got {value}")
        if self.byte_burst < self.max_frame_bytes:
            raise ValueError(
                f"byte_burst must admit one frame of max_frame_bytes ({self.max_frame_bytes}), got {self.byte_burst}"
            )


class TokenBucket:
    """Fills by `rate_per_s` up to `burst`; starts full."""

    def __init__(self, rate_per_s: float, burst: float, now_us: int) -> None:
        self._rate_per_us = rate_per_s / 1e6
        self._burst = burst
        self._level = burst
        self._filled_us = now_us

    def take(self, amount: float, now_us: int) -> int:
        """Take `amount`, into debt if need be. Returns the microseconds to wait until the debt is paid."""
        self._fill(now_us)
        self._level -= amount
        return self._wait_us()

    def try_take(self, amount: float, now_us: int) -> int:
        """Take `amount` only if it is there. Returns 0, or the microseconds after which it would be."""
        self._fill(now_us)
        if self._level >= amount:
            self._level -= amount
            return 0
        return max(1, round((amount - self._level) / self._rate_per_us))

    def _fill(self, now_us: int) -> None:
        elapsed_us = max(0, now_us - self._filled_us)
        self._level = min(self._burst, self._level + elapsed_us * self._rate_per_us)
        self._filled_us = max(self._filled_us, now_us)

    def _wait_us(self) -> int:
        return 0 if self._level >= 0 else max(1, round(-self._level / self._rate_per_us))


class ConnectionPace:
    """How long to leave a connection unread after each frame, so that it stays within its rates.

    A fast client is slowed down by TCP's own backpressure and loses nothing.
    """

    def __init__(self, limits: Limits, now_us: int) -> None:
        self._events = TokenBucket(limits.events_per_s, limits.event_burst, now_us)
        self._bytes = TokenBucket(limits.bytes_per_s, limits.byte_burst, now_us)

    def receive(self, num_bytes: int, now_us: int) -> int:
        """Count one frame. Returns the microseconds to wait before reading the next."""
        return max(self._events.take(1, now_us), self._bytes.take(num_bytes, now_us))


class ConnectionGate:
    """Counts sessions by key and by address, and connection attempts by address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_key: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()
        self._attempts: OrderedDict[str, TokenBucket] = OrderedDict()

    def knock(self, address: str, now_us: int) -> Refusal | None:
        """Count an attempt from `address`, whatever becomes of it."""
        bucket = self._attempts.pop(address, None)
        if bucket is None:
            bucket = TokenBucket(self._limits.connects_per_min / 60, self._limits.connect_burst, now_us)
        self._attempts[address] = bucket
        if len(self._attempts) > MAX_TRACKED_ADDRESSES:
            self._attempts.popitem(last=False)
        wait_us = bucket.try_take(1, now_us)
        if wait_us == 0:
            return None
        return Refusal(
            RefusalCode.TOO_MANY_CONNECTS,
            f"More than {self._limits.connects_per_min:g} connections a minute from {address}.",
            retry_after_s=-(-wait_us // 1_000_000),
        )

    def enter(self, address: str, key_name: str) -> Refusal | None:
        """Count a session of `key_name` from `address`, or say why not. `leave` undoes it."""
        if self._by_address[address] >= self._limits.max_sessions_per_address:
            return Refusal(
                RefusalCode.TOO_MANY_SESSIONS,
                f"{address} already has {self._limits.max_sessions_per_address} sessions, the most one address may.",
            )
        if self._by_key[key_name] >= self._limits.max_sessions_per_key:
            return Refusal(
                RefusalCode.TOO_MANY_SESSIONS,
                f"This key already has {self._limits.max_sessions_per_key} sessions, the most one key may.",
            )
        self._by_address[address] += 1
        self._by_key[key_name] += 1
        return None

    def leave(self, address: str, key_name: str) -> None:
        for counts, name in ((self._by_address, address), (self._by_key, key_name)):
            assert counts[name] > 0, f"{name} leaves without having entered"
            counts[name] -= 1
            if counts[name] == 0:
                del counts[name]
