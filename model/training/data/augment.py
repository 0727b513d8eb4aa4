"""What happens to speech between a mouth and us: other speeds, rooms, noise, levels and telephones.

`augmented(clip, random, ...)` draws what happens; each step is also a function of its own. Word times stay true: speed
moves them, nothing else does. Same clip and same random state, same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ, SpeechClip, Word
from model.training.data.level import LEVEL_DB, level_db
from model.training.data.noise import NoiseKind, babble, noise
from model.training.data.rooms import any_room, impulse_response, in_room

_PEAK = 0.99


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How often each thing happens, and how far it goes."""

    speed_share: float = 0.5
    speeds: tuple[float, float] = (0.85, 1.2)
    room_share: float = 0.4
    noise_share: float = 0.6
    snr_db: tuple[float, float] = (3.0, 35.0)
    babble_share: float = 0.25  # of the noises, where other voices are given
    telephone_share: float = 0.1
    level_db: tuple[float, float] = (-38.0, -16.0)

    def __post_init__(self) -> None:
        for share in (self.speed_share, self.room_share, self.noise_share, self.babble_share, self.telephone_share):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"a share is between 0 and 1, not {share}")


def augmented(
    clip: SpeechClip,
    random: np.random.Generator,
    config: AugmentConfig | None = None,
    others: Sequence[NDArray[np.float32]] = (),
) -> SpeechClip:
    """The clip as it might have been heard. `others` are voices that may babble behind it."""
    config = config or AugmentConfig()
    if random.random() < config.speed_share:
        clip = at_speed(clip, float(random.uniform(*config.speeds)))
    pcm = clip.pcm
    if random.random() < config.room_share:
        pcm = in_room(pcm, impulse_response(any_room(random), random))
    if random.random() < config.noise_share:
        if others and random.random() < config.babble_share:
            disturbance = babble(others, len(pcm), random)
        else:
            disturbance = noise(list(NoiseKind)[int(random.integers(len(NoiseKind)))], len(pcm), random)
        pcm = with_noise(pcm, disturbance, float(random.uniform(*config.snr_db)))
    if random.random() < config.telephone_share:
        pcm = telephone(pcm)
    return replace(clip, pcm=at_level(pcm, float(random.uniform(*config.level_db))))


def at_speed(clip: SpeechClip, speed: float) -> SpeechClip:
    """Faster and higher, or slower and lower, as a tape would be: pitch moves with speed and gives other speakers."""
    if not 0.5 <= speed <= 2.0:
        raise ValueError(f"speeds from half to double are speech still, not {speed}")
    pcm = soxr.resample(clip.pcm, CLIP_RATE_HZ * speed, CLIP_RATE_HZ)
    words = tuple(Word(round(word.start_us / speed), round(word.end_us / speed), word.text) for word in clip.words)
    return replace(clip, pcm=pcm, words=words)


def with_noise(pcm: NDArray[np.float32], disturbance: NDArray[np.float32], snr_db: float) -> NDArray[np.float32]:
    """Speech over noise of the same length, so many decibels below it. Silence is left alone: it has no level."""
    speech_db, noise_db = level_db(pcm), level_db(disturbance)
    if not (np.isfinite(speech_db) and np.isfinite(noise_db)):
        return pcm
    return pcm + disturbance * np.float32(10 ** ((speech_db - snr_db - noise_db) / 20))


def telephone(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Through 8 kHz, as narrow-band telephony carries it."""
    narrow = soxr.resample(soxr.resample(pcm, CLIP_RATE_HZ, 8_000), 8_000, CLIP_RATE_HZ)
    return np.pad(narrow, (0, max(0, len(pcm) - len(narrow))))[: len(pcm)]


def at_level(pcm: NDArray[np.float32], level: float = LEVEL_DB) -> NDArray[np.float32]:
    """At this level in dB, or softer where the peak would clip."""
    now_db, peak = level_db(pcm), float(np.abs(pcm).max(initial=0.0))
    if not np.isfinite(now_db):
        return pcm
    return pcm * np.float32(min(10 ** ((level - now_db) / 20), _PEAK / peak))
