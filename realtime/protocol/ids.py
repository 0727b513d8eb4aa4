"""Names for sessions, items, responses and events, drawn from an injected source of randomness.

An id is a prefix that says what it names and 20 characters of base 32, 100 bits. Two `Ids` over equally seeded
generators give the same names in the same order, which is what tests and replay rely on.
"""

import random
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letters that look like digits
LENGTH: Final = 20


class Ids:
    """Draws ids. `rng` is `random.SystemRandom()` in a server and a seeded `random.Random` in a test."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def _new(self, prefix: str) -> str:
        return prefix + "".join(self._rng.choices(ALPHABET, k=LENGTH))

    def event(self) -> str:
        return self._new("event_")

    def session(self) -> str:
        return self._new("sess_")

    def conversation(self) -> str:
        return self._new("conv_")

    def item(self) -> str:
        return self._new("item_")

    def response(self) -> str:
        return self._new("resp_")

    def call(self) -> str:
        """A function call's id, which its output names again."""
        return self._new("call_")

    def rtc_call(self) -> str:
        """The name of a WebRTC call."""
        return self._new("rtc_")

    def client_secret(self) -> str:
        """An ephemeral key. Browser code checks the prefix."""
        return self._new("ek_")
