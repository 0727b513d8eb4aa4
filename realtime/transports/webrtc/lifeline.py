"""Lifeline: when a client was heard of → whether it is still there. Pure arithmetic on times that are given."""

from typing import Final

CONNECT_TIMEOUT_US: Final = 30_000_000  # from the answer to an open connection
# A client that was silent for so long and then closes was in trouble and may come back. A microphone sends a packet
# every 20 ms; without one, Chromium sends a check every 2.5 s. Others may send one in 6 s only, and are then waited for
# although they hung up, which does no harm.
SILENT_MICROPHONE_US: Final = 1_500_000
SILENT_CLIENT_US: Final = 3_500_000
MICROPHONE_PAUSE_US: Final = 1_000_000  # a microphone that sent nothing for so long, while its client did, is off


class Lifeline:
    """`grace_us`: how long a silent client is waited for."""

    def __init__(self, now_us: int, grace_us: int) -> None:
        self._grace_us = grace_us
        self._began_us = now_us
        self._returned_us: int | None = None  # when the latest silence ended
        self._is_connected = False
        self._last_sound_us: int | None = None
        self._last_sign_us = now_us

    @property
    def is_microphone_on(self) -> bool:
        """Whether sound came when the client was last heard of: what is silent now is the network."""
        if self._last_sound_us is None:
            return False
        return self._last_sign_us - self._last_sound_us < MICROPHONE_PAUSE_US

    def connect(self, now_us: int) -> None:
        """A connection carries events for the first time, or again."""
        if self._is_connected:
            self.sign(now_us)
        self._is_connected = True
        self._last_sign_us = now_us

    def sign(self, now_us: int, is_sound: bool = False) -> None:
        """Something authentic arrived."""
        if self._is_connected and self._is_silent(now_us):
            self._returned_us = now_us
        self._last_sign_us = now_us
        if is_sound:
            self._last_sound_us = now_us

    def was_silent_lately(self, now_us: int) -> bool:
        """Whether a client that closes now may be one that lost its network and is about to return."""
        if self._is_silent(now_us):
            return True
        return self._returned_us is not None and now_us - self._returned_us < self._grace_us

    def verdict(self, now_us: int) -> str | None:
        """Why the client is given up; None while it is not."""
        if not self._is_connected:
            is_late = now_us - self._began_us > CONNECT_TIMEOUT_US
            return f"no connection within {CONNECT_TIMEOUT_US / 1e6:g} s" if is_late else None
        if now_us - self._last_sign_us > self._grace_us:
            return f"nothing was heard of the client for {self._grace_us / 1e6:g} s"
        return None

    def _is_silent(self, now_us: int) -> bool:
        silent_us = now_us - self._last_sign_us
        return silent_us > (SILENT_MICROPHONE_US if self.is_microphone_on else SILENT_CLIENT_US)
