"""Made-up sentences to dictate and to repeat, none of which any training spoke or showed."""

from functools import cache

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.data.seeding import random_for
from model.training.data.text.sentence import Kind
from model.training.data.text.templates import make

_DRAWS = 50_000  # of which one in fifty is held out
_PLAIN = (Kind.COMMAND, Kind.NAME)  # made-up sentences without spelled-out letters and long numbers


@cache
def held_out_sentences(count: int) -> tuple[str, ...]:
    """Of three to ten words; their texts are held out of everything that was trained on."""
    found: dict[str, None] = {}
    for number in range(_DRAWS):
        random = random_for("dictated", number)
        text = make(_PLAIN[int(random.integers(len(_PLAIN)))], random)
        if text_split(text) is Split.EVAL and 3 <= len(text.split()) <= 10:
            found[text] = None
        if len(found) == count:
            break
    return tuple(found)
