"""What people typed to each other: the messages of the chitchat data set (MIT), without names and without profanity.

Words count as known once several messages use them in lower case; a word mostly written with a capital inside a
sentence is a name. That drops two messages in three and most typing mistakes with them.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from model.training.data.missing import MissingPackage
from model.training.data.text.spoken import bare, spoken
from model.training.data.text.words import FIRST_NAMES, LAST_NAMES, REPAIRS

LICENCE = "MIT"

_MIN_USES = 8
_MIN_WORDS, _MAX_WORDS = 2, 12
_SPELLED_WITH_CAPITAL = frozenset({"i", "i'm", "i've", "i'll", "i'd"})


def chitchat_messages() -> list[str]:
    """Every message, in the order of the package."""
    try:
        import chitchat_dataset
    except ImportError as error:
        raise MissingPackage('dialogue needs chitchat-dataset: pip install "omniweave-realtime[data]"') from error
    conversations = json.loads(Path(chitchat_dataset.__file__).with_name("dataset.json").read_text("utf-8"))
    return [
        utterance["text"]
        for conversation in conversations.values()
        for turn in conversation["messages"]
        for utterance in turn
    ]


def dialogue_sentences(messages: Iterable[str]) -> list[str]:
    """The messages fit to be spoken, each once, in their order."""
    messages = list(messages)
    known = known_words(messages)
    sentences = (spoken(message, known, _MIN_WORDS, _MAX_WORDS) for message in messages)
    return list(dict.fromkeys(sentence for sentence in sentences if sentence is not None))


def known_words(messages: Iterable[str]) -> frozenset[str]:
    """Words in common use that are not names."""
    plain: Counter[str] = Counter()
    capital: Counter[str] = Counter()
    for message in messages:
        start = True
        for token in message.split():
            word = token.strip(".,?!;'-\"()")
            if word[:1].islower():
                plain[word] += 1
            elif word and not start:
                capital[word.lower()] += 1
            start = token[-1] in ".?!"
    names = {name.lower() for name in (*FIRST_NAMES, *LAST_NAMES)}
    words = {word for word, uses in plain.items() if uses >= _MIN_USES and capital[word] <= uses and word not in names}
    typed = {word for word in REPAIRS if word != "i"}
    repaired = {bare(part) for repair in REPAIRS.values() for part in repair.split()}
    return frozenset((words - typed) | repaired | _SPELLED_WITH_CAPITAL)
