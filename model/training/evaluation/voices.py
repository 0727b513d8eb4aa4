"""Who asks: held-out voices of the engines that are installed. What was said once is kept, since engines are slow."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from model.training.data.clip import Word
from model.training.data.engines.catalog import CATALOG, EngineName
from model.training.data.missing import MissingPackage
from model.training.simulation.cast import Cast, Spoken, check_voices

DEFAULT_VOICES: tuple[str, ...] = tuple(
    f"{name}/{voice}" for name in (EngineName.KOKORO, EngineName.FLITE) for voice in CATALOG[name].held_out_voices
)


class KeptCast:
    """A `Cast` that keeps every line it spoke as a file in `directory`. None: nothing is kept."""

    def __init__(self, assets: Path, directory: Path | None = None) -> None:
        self._cast = Cast(assets)
        self._directory = directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def say(self, text: str, voice: str, seed: int) -> Spoken:
        if self._directory is None:
            return self._cast.say(text, voice, seed)
        key = blake2b(f"{voice}\n{seed}\n{text}".encode(), digest_size=12).hexdigest()
        path = self._directory / f"{key}.npz"
        if not path.is_file():
            spoken = self._cast.say(text, voice, seed)
            times_us = np.array([(word.start_us, word.end_us) for word in spoken.words], np.int64).reshape(-1, 2)
            part = path.with_suffix(".part.npz")
            np.savez(part, pcm=spoken.pcm, times_us=times_us, words=np.array([word.text for word in spoken.words]))
            part.replace(path)
        with np.load(path) as kept:
            words = zip(kept["times_us"].tolist(), kept["words"].tolist(), strict=True)
            return Spoken(kept["pcm"], tuple(Word(start, end, word) for (start, end), word in words))


class Speaker:
    """One voice."""

    def __init__(self, cast: KeptCast, voice: str) -> None:
        self._cast = cast
        self.voice = voice

    def say(self, text: str, seed: int) -> Spoken:
        return self._cast.say(text, self.voice, seed)


def speakers(cast: KeptCast, voices: Sequence[str]) -> list[Speaker]:
    """One for each voice named; without names, one for each held-out voice whose engine is installed.

    Raises ValueError for a voice that is unknown, and where no engine of a held-out voice is installed.
    """
    if voices:
        return [Speaker(cast, voice) for voice in check_voices(tuple(voices))]
    found: list[Speaker] = []
    for voice in DEFAULT_VOICES:
        speaker = Speaker(cast, voice)
        try:
            speaker.say("Yes.", 0)
        except (MissingPackage, ImportError, OSError):
            continue
        found.append(speaker)
    if not found:
        raise ValueError(f"none of the held-out voices {DEFAULT_VOICES} can be heard here; name others with --voices")
    return found
