"""Lifeline: when a client was heard of → whether it is still there. Pure arithmetic on times that are given."""

from typing import Final

CONNECT_TIMEOUT_US: Final = 30_000_000  # from the answer to an open connection
# A client that was silent for this long and then closes was in trouble and may come back. Browsers that are connected
# send a check every 2.5 s at least, even with everything muted.
SILENCE_US: Final = 4_000_000


class Lifeline:
    """`grace_us`: how long a silent client is waited for."""

    def __init__(self, now_us: int, grace_us: int) -> None:
        self._grace_us = grace_us
        self._began_us = now_us
        self._returned_us: int | None = None  # when the latest silence ended
        self._is_connected = False
        self.last_sign_us = now_us

    def connect(self, now_us: int) -> None:
        """A connection carries events for the first time, or again."""
        if self._is_connected:
            self.sign(now_us)
        self._is_connected = True
        self.last_sign_us = now_us

    def sign(self, now_us: int) -> None:
        """Something authentic arrived."""
        if self._is_connected and now_us - self.last_sign_us > SILENCE_US:
            self._returned_us = now_us
        self.last_sign_us = now_us

    def was_silent_lately(self, now_us: int) -> bool:
        """Whether a client that closes now may be one that lost its network and is about to return."""
        if now_us - self.last_sign_us > SILENCE_US:
            return True
        return self._returned_us is not None and now_us - self._returned_us < self._grace_us

    def verdict(self, now_us: int) -> str | None:
        """Why the client is given up; None while it is not."""
        if not self._is_connected:
            is_late = now_us - self._began_us > CONNECT_TIMEOUT_US
            return f"no connection within {CONNECT_TIMEOUT_US / 1e6:g} s" if is_late else None
        if now_us - self.last_sign_us > self._grace_us:
            return f"nothing was heard of the client for {self._grace_us / 1e6:g} s"
        return None
