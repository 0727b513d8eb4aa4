"""SentenceMix: sentence number i of a split, from all text sources in fixed shares.

A function of (seed, split, index): nothing is drawn in sequence. Sentences from corpora come in a shuffled order and
repeat only once a corpus is used up. A sentence of one split never occurs in the other (`held_out.text_split`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.data.seeding import random_for
from model.training.data.text.dialogue import chitchat_messages, dialogue_sentences
from model.training.data.text.glosses import gloss_sentences, wordnet_glosses
from model.training.data.text.sentence import Kind, Sentence
from model.training.data.text.templates import MAKERS, make

# Half is what people say in conversation; the rest is what conversation alone would leave unpractised.
SHARES: Mapping[Kind, float] = {
    Kind.DIALOGUE: 0.50,
    Kind.GLOSS: 0.18,
    Kind.NUMBER: 0.09,
    Kind.NAME: 0.06,
    Kind.SPELLING: 0.05,
    Kind.COMMAND: 0.07,
    Kind.ANSWER: 0.05,
}

_MAX_DRAWS = 10_000  # one made-up sentence in fifty is for evaluation; not to find one in this many is a bug


class SentenceMix:
    """`corpora` are the sentences of the kinds that are not made up."""

    def __init__(self, corpora: Mapping[Kind, Sequence[str]], seed: int, shares: Mapping[Kind, float] = SHARES) -> None:
        self._kinds = list(shares)
        self._shares = np.array(list(shares.values())) / sum(shares.values())
        self._seed = seed
        self._pools: dict[tuple[Kind, Split], list[str]] = {}
        for kind, sentences in corpora.items():
            for split in Split:
                pool = [sentence for sentence in sentences if text_split(sentence) is split]
                order = random_for("pool", seed, kind, split).permutation(len(pool))
                self._pools[kind, split] = [pool[i] for i in order]
        for kind in self._kinds:
            if kind not in MAKERS and not all(self._pools.get((kind, split)) for split in Split):
                raise ValueError(f"no sentences of kind {kind} in one of the splits")

    def sentence(self, split: Split, index: int) -> Sentence:
        """Sentence number `index` of a split."""
        random = random_for("sentence", self._seed, split, index)
        kind = self._kinds[int(random.choice(len(self._kinds), p=self._shares))]
        if kind not in MAKERS:
            pool = self._pools[kind, split]
            return Sentence(pool[index % len(pool)], kind)
        for _ in range(_MAX_DRAWS):
            text = make(kind, random)
            if text_split(text) is split:
                return Sentence(text, kind)
        raise AssertionError(f"no {kind} for {split} in {_MAX_DRAWS} draws")


def standard_mix(seed: int) -> SentenceMix:
    """The mix from the installed corpora. Takes some seconds."""
    return SentenceMix(
        {
            Kind.DIALOGUE: dialogue_sentences(chitchat_messages()),
            Kind.GLOSS: gloss_sentences(wordnet_glosses()),
        },
        seed,
    )
