"""Pictures with names, and which of them are kept for evaluation.

A subject is what a picture shows, whatever its style and skin tone: "Thumbs up, dark" and "thumbs-up-light" are one.
One subject in ten is held out, by its name alone, in all styles at once; no rendering of it enters training.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import Split

HELD_OUT_ONE_IN = 10
# What anybody would hold up to a camera first. None of them is held out.
FAMILIAR = (
    *("red-apple", "banana", "strawberry", "watermelon", "lemon", "carrot", "pizza"),
    *("hamburger", "doughnut", "hot-beverage", "birthday-cake", "egg", "dog-face", "cat-face"),
    *("rabbit-face", "panda", "frog", "monkey-face", "pig-face", "unicorn", "penguin"),
    *("fish", "butterfly", "lady-beetle", "snail", "automobile", "airplane", "rocket"),
    *("bicycle", "sailboat", "house", "christmas-tree", "sunflower", "rose", "cactus"),
    *("fire", "rainbow", "snowman", "umbrella", "star", "guitar", "soccer-ball"),
    *("thumbs-up", "grinning-face", "crying-face", "robot", "ghost", "glasses", "alarm-clock"),
    "light-bulb",
)
_TONE = re.compile(r"-(medium-dark|medium-light|dark|medium|light|default)$")


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """`rgba` is uint8 [H, W, 4], its colours not multiplied by its opacity; `name` is as in "red-heart"."""

    name: str
    style: str
    rgba: NDArray[np.uint8]


def subject_of(name: str) -> str:
    """The name without its skin tone, in lower case, words joined by hyphens."""
    return _TONE.sub("", "-".join(re.findall(r"[^\W_]+", name.lower())))


def picture_split(name: str) -> Split:
    """What this picture may be used for."""
    digest = blake2b(subject_of(name).encode(), digest_size=8).digest()
    return Split.EVAL if int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0 else Split.TRAIN
