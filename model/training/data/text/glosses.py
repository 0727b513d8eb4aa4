"""Dictionary definitions and example sentences from WordNet: rarer words than small talk has.

Reads the database files `data.noun` and so on as Debian's `wordnet-base` installs them.
"""

import re
from pathlib import Path

from model.training.data.missing import MissingPackage
from model.training.data.text.spoken import bare, is_unwanted
from model.training.data.text.words import FIRST_NAMES, LAST_NAMES

LICENCE = "WordNet-3.0"
WORDNET_DIR = Path("/usr/share/wordnet")

_PARTS = ("noun", "verb", "adj", "adv")
_MIN_WORDS, _MAX_WORDS = 3, 14
_PLAIN = re.compile(r"[a-z ,'-]+", re.IGNORECASE)
_NAMES = frozenset(name.lower() for name in (*FIRST_NAMES, *LAST_NAMES))


def wordnet_glosses(directory: Path = WORDNET_DIR) -> list[str]:
    """The glosses of every entry, in the order of the files."""
    if not (directory / "data.noun").exists():
        raise MissingPackage(f"glosses need WordNet 3.0 in {directory}: apt-get install wordnet-base")
    lines = (line for part in _PARTS for line in (directory / f"data.{part}").read_text("ascii").splitlines())
    return [line.partition(" | ")[2] for line in lines if not line.startswith("  ")]  # the licence is indented


def gloss_sentences(glosses: list[str]) -> list[str]:
    """Definitions ("A general concept.") and the examples quoted after them, each once, in order."""
    sentences = []
    for gloss in glosses:
        definition, *quoted = gloss.split('"')
        for phrase in (*definition.split(";"), *quoted[::2]):
            sentence = _sentence(re.sub(r"\([^)]*\)", " ", phrase))
            if sentence is not None:
                sentences.append(sentence)
    return list(dict.fromkeys(sentences))


def _sentence(phrase: str) -> str | None:
    phrase = " ".join(phrase.split()).strip(" ,")
    words = phrase.split()
    if not _MIN_WORDS <= len(words) <= _MAX_WORDS or not _PLAIN.fullmatch(phrase):
        return None
    if any(word[0].isupper() and word != "I" for word in words[1:]):
        return None
    if any(is_unwanted(bare(word)) or bare(word) in _NAMES or len(word) > 18 for word in words):
        return None
    return f"{phrase[0].upper()}{phrase[1:]}."
