"""Human recordings with transcripts: the prompts of the Asterisk telephone exchange, spoken by Allison Smith.

Debian's `asterisk-core-sounds-en-g722` has the sound (16 kHz, G.722) and `asterisk-core-sounds-en` the words. The first
half by sorted file name may be trained on, but for the texts that are held out everywhere; the second half never.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ, ClipRecord, Split
from model.training.data.held_out import check_split, held_out_reason, text_split
from model.training.data.level import levelled, loudest
from model.training.data.missing import MissingPackage
from model.training.data.speech_maker import MAX_SAMPLES, MIN_SAMPLES, MIN_VOICED, VoicedShare

SOURCE, LICENCE = "asterisk", "CC-BY-SA-3.0"
FIRST_HALF, SECOND_HALF = "allison-first-half", "allison-second-half"
SOUNDS_DIR = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TRANSCRIPTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, what is said in it and which half it is in."""

    path: Path
    text: str
    speaker: str


def asterisk_recordings(sounds: Path = SOUNDS_DIR, transcripts: Path = TRANSCRIPTS) -> list[Recording]:
    """Those with words, sorted by name. Files whose transcript describes a sound in brackets are left out."""
    for path, package in ((sounds, "asterisk-core-sounds-en-g722"), (transcripts, "asterisk-core-sounds-en")):
        if not path.exists():
            raise MissingPackage(f"{path} is missing: apt-get install {package}")
    texts = {}
    for line in gzip.decompress(transcripts.read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        if colon and not name.startswith(";"):
            texts[name.strip()] = " ".join(text.split())
    names = sorted(path.relative_to(sounds).with_suffix("").as_posix() for path in sounds.rglob("*.g722"))
    return [
        Recording(sounds / f"{name}.g722", texts[name], FIRST_HALF if number < len(names) // 2 else SECOND_HALF)
        for number, name in enumerate(names)
        if texts.get(name) and "[" not in texts[name]
    ]


def clips_of(recordings: list[Recording], activity: VoicedShare) -> Iterator[tuple[ClipRecord, NDArray[np.float32]]]:
    """The recordings as clips, at the level of all others. Those too short, too long or without speech are left out."""
    counts = dict.fromkeys(Split, 0)
    for recording in recordings:
        pcm = levelled(read_g722(recording.path))
        if not MIN_SAMPLES <= len(pcm) <= MAX_SAMPLES:
            continue
        voiced = activity.voiced(loudest(pcm, CLIP_RATE_HZ))
        if voiced < MIN_VOICED:
            continue
        split = Split.EVAL if held_out_reason(SOURCE, recording.speaker) else text_split(recording.text)
        record = ClipRecord(
            key=f"{SOURCE}-{split}-{counts[split]:06d}",
            text=recording.text,
            kind="recording",
            speaker=recording.speaker,
            source=SOURCE,
            licence=LICENCE,
            split=split,
            num_samples=len(pcm),
            voiced=round(voiced, 3),
        )
        check_split(record)
        counts[split] += 1
        yield record, pcm


def read_g722(path: Path) -> NDArray[np.float32]:
    """The samples of a raw G.722 file at the clip rate."""
    with av.open(str(path), format="g722") as file:
        rate_hz = file.streams.audio[0].rate
        frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    if not frames:
        return np.zeros(0, np.float32)
    pcm = np.concatenate(frames).astype(np.float32) / np.float32(2**15)
    return soxr.resample(pcm, rate_hz, CLIP_RATE_HZ, "VHQ")
