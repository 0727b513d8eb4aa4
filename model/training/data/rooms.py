"""Rooms: the impulse response of a rectangular room by the image-source method (Allen and Berkley, 1979).

A room is its size, how much its walls absorb, and where mouth and microphone are. Reflections up to `MAX_ORDER` are
placed exactly (to the sample); later ones are noise that decays at the rate of Sabine's formula. The first arrival has
strength 1 and delay 0, so that speech keeps its level and its word times.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ

SPEED_OF_SOUND_M_S = 343.0
MAX_ORDER = 6

_WALL_GAP_M = 0.3
_MIN_DISTANCE_M = 0.2


@dataclass(frozen=True, slots=True)
class Room:
    """`absorption` is the share of the energy a wall takes; places are metres from a corner."""

    size_m: tuple[float, float, float]
    absorption: float
    mouth_m: tuple[float, float, float]
    microphone_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not 0.0 < self.absorption < 1.0:
            raise ValueError(f"walls absorb between 0 and 1 of the energy, not {self.absorption}")
        for place in (self.mouth_m, self.microphone_m):
            if not all(0.0 < at < size for at, size in zip(place, self.size_m, strict=True)):
                raise ValueError(f"{place} is outside the room {self.size_m}")

    @property
    def reverberation_s(self) -> float:
        """Sabine: the time in which sound falls by 60 dB."""
        a, b, c = self.size_m
        return 0.161 * a * b * c / (2 * (a * b + b * c + a * c) * self.absorption)


def any_room(random: np.random.Generator) -> Room:
    """From a small dry room to a large live one, with the mouth near the microphone or across the room."""
    size_m = random.uniform((2.0, 2.0, 2.2), (9.0, 7.0, 4.0))
    mouth_m = random.uniform(_WALL_GAP_M, size_m - _WALL_GAP_M)
    reach_m = random.choice([0.5, 1.5, 9.0])
    low = np.maximum(mouth_m - reach_m, _WALL_GAP_M)
    microphone_m = random.uniform(low, np.minimum(mouth_m + reach_m, size_m - _WALL_GAP_M))
    return Room(_triple(size_m), float(random.uniform(0.15, 0.7)), _triple(mouth_m), _triple(microphone_m))


def impulse_response(room: Room, random: np.random.Generator) -> NDArray[np.float32]:
    """The response at the clip rate. `random` draws the late part only."""
    size, mouth, microphone = (np.array(place) for place in (room.size_m, room.mouth_m, room.microphone_m))
    reflected = np.sqrt(1.0 - room.absorption)
    direct_m = max(float(np.linalg.norm(mouth - microphone)), _MIN_DISTANCE_M)
    length = max(1, int(room.reverberation_s * CLIP_RATE_HZ))
    response = np.zeros(length, np.float64)
    cells = np.array(list(product(range(-MAX_ORDER, MAX_ORDER + 1), repeat=3)))
    cells = cells[np.abs(cells).sum(axis=1) <= MAX_ORDER]
    # Image number n along an axis lies at n·size + mouth for even n and (n + 1)·size - mouth for odd n.
    images = np.where(cells % 2 == 0, cells * size + mouth, (cells + 1) * size - mouth)
    distances_m = np.maximum(np.linalg.norm(images - microphone, axis=1), _MIN_DISTANCE_M)
    delays = np.rint((distances_m - direct_m) / SPEED_OF_SOUND_M_S * CLIP_RATE_HZ).astype(int)
    strengths = reflected ** np.abs(cells).sum(axis=1) * direct_m / distances_m
    heard = (delays >= 0) & (delays < length)
    np.add.at(response, delays[heard], strengths[heard])
    _add_late(response, room, random)
    response[0] = 1.0
    return response.astype(np.float32)


def _add_late(response: NDArray[np.float64], room: Room, random: np.random.Generator) -> None:
    """Fade from the exact reflections into decaying noise of the same energy, where their orders run out."""
    start = int(MAX_ORDER * min(room.size_m) / SPEED_OF_SOUND_M_S * CLIP_RATE_HZ)
    if start >= len(response):
        return
    before = response[start // 2 : start]
    time_s = np.arange(len(response) - start) / CLIP_RATE_HZ
    decay = 10 ** (-3 * time_s / room.reverberation_s)
    level = np.sqrt(np.mean(np.square(before))) * 10 ** (-3 * (start / 4 / CLIP_RATE_HZ) / room.reverberation_s)
    response[start:] = random.standard_normal(len(response) - start) * level * decay


def in_room(pcm: NDArray[np.float32], response: NDArray[np.float32]) -> NDArray[np.float32]:
    """The clip as heard through the response, as long as it was: the tail after its end is cut."""
    size = 1 << (len(pcm) + len(response) - 1).bit_length()
    spectrum = np.fft.rfft(pcm, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(pcm)].astype(np.float32)


def _triple(place: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = place.tolist()
    return x, y, z
