"""What never enters training, as data with a reason for each entry, and the rules that apply it.

Voices and recordings are held out by name. Texts are held out by their own words: one sentence in fifty, whichever
engine or corpus it came through, so that no text of an evaluation set was ever trained on, in any voice.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from model.training.data.clip import ClipRecord, Split

EVAL_TEXT_ONE_IN = 50

_NOT_SPOKEN = re.compile(r"[^a-z0-9 ]+")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A source's speakers that are kept for evaluation. None stands for every speaker of the source."""

    source: str
    speaker: str | None
    reason: str


HELD_OUT: tuple[HeldOut, ...] = (
    HeldOut("kokoro", "af_nova", "an unseen American woman of the most natural engine"),
    HeldOut("kokoro", "am_fenrir", "an unseen American man of the most natural engine"),
    HeldOut("kokoro", "bf_emma", "an unseen British woman of the most natural engine"),
    HeldOut("kokoro", "bm_george", "an unseen British man of the most natural engine"),
    HeldOut("flite", "awb", "an unseen Scottish speaker through an older kind of synthesis"),
    HeldOut("asterisk", "allison-second-half", "studio recordings of a human: the second half by sorted file name"),
    HeldOut("pocketsphinx", None, "human readers of books: the only honest test on unseen people"),
    HeldOut("jfk", None, "a recognition benchmark everybody reports"),
    HeldOut("moonshine", None, "human samples that come with a recogniser"),
)


def held_out_reason(source: str, speaker: str) -> str | None:
    """Why this speaker is kept out of training, or None if it may be trained on."""
    for entry in HELD_OUT:
        if entry.source == source and entry.speaker in (None, speaker):
            return entry.reason
    return None


def text_split(text: str) -> Split:
    """The split a text belongs to, whoever speaks it. Case and punctuation make no difference."""
    spoken = " ".join(_NOT_SPOKEN.sub("", text.lower()).split())
    digest = blake2b(spoken.encode(), digest_size=8).digest()
    return Split.EVAL if int.from_bytes(digest, "big") % EVAL_TEXT_ONE_IN == 0 else Split.TRAIN


def check_split(record: ClipRecord) -> None:
    """Raise ValueError for a record that would carry held-out material into training."""
    if record.split is not Split.TRAIN:
        return
    reason = held_out_reason(record.source, record.speaker)
    if reason is not None:
        raise ValueError(f"{record.key}: {record.source}/{record.speaker} is held out of training ({reason})")
    if text_split(record.text) is not Split.TRAIN:
        raise ValueError(f"{record.key}: the text {record.text!r} is held out of training")
