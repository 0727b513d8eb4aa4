"""Random numbers as functions of what they are for, so that item 700 is the same whoever makes it, and whenever.

`seed_of("kokoro", 7, 700)` → a 63-bit integer; `random_for(...)` → a numpy generator seeded with it. No global state.
"""

from hashlib import blake2b

import numpy as np


def seed_of(*parts: str | int) -> int:
    """A seed from names and numbers. Their borders count: ("a", 1) and ("a1",) differ."""
    text = "\x1f".join(part if isinstance(part, str) else f"#{part}" for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def random_for(*parts: str | int) -> np.random.Generator:
    """A generator of its own for this purpose."""
    return np.random.default_rng(seed_of(*parts))
