"""A microphone in a closed loop: what is said, sounds and the agent's own voice → one tick of samples after another.

Nobody knows beforehand how long the agent will speak, so everything is mixed into what lies ahead. Times are of this
microphone: samples since its first. `simulation.microphone` makes the same of a script whose times are known.
"""

from dataclasses import dataclass

import numpy as np

from model.training.data.noise import noise
from model.training.data.rooms import any_room, impulse_response, in_room
from model.training.data.seeding import random_for
from model.training.simulation.microphone import NOISE_FLOORS, gain
from model.training.simulation.script import Room, Sounds
from model.training.simulation.staging import num_samples_of
from streams.types import SAMPLES_PER_TICK, Samples

FLOOR_TICKS = 80  # of noise floor, then it comes again
EDGE_SAMPLES = 480  # 20 ms: sounds fade in and out, so that nothing clicks


@dataclass(frozen=True, slots=True)
class Spoken:
    """Where somebody speaks, in samples."""

    start: int
    end: int

    @property
    def first_tick(self) -> int:
        return self.start // SAMPLES_PER_TICK

    @property
    def last_tick(self) -> int:
        """The one in which the last sample lies."""
        return (self.end - 1) // SAMPLES_PER_TICK


class Microphone:
    """`room` decides levels, reverberation and echo; `random` what the room and its noise floor are like."""

    def __init__(self, room: Room, random: np.random.Generator) -> None:
        self._room = room
        self._response = impulse_response(any_room(random), random)
        floor = NOISE_FLOORS[int(random.integers(len(NOISE_FLOORS)))]
        self._floor = noise(floor, FLOOR_TICKS * SAMPLES_PER_TICK, random) * gain(room.noise_db)
        self._ahead: Samples = np.zeros(0, np.float32)  # from the next tick on
        self._spoken: list[Spoken] = []
        self.tick = 0  # the next one

    @property
    def position(self) -> int:
        """The first sample of the next tick."""
        return self.tick * SAMPLES_PER_TICK

    def say(self, pcm: Samples, after_us: int) -> Spoken:
        """Somebody in the room begins to speak so long after the next tick begins."""
        first = num_samples_of(after_us)
        heard = in_room(pcm, self._response) if self._room.reverberates else pcm
        self._add(first, heard * gain(self._room.speech_db))
        spoken = Spoken(self.position + first, self.position + first + len(pcm))
        self._spoken.append(spoken)
        return spoken

    def sound(self, line: Sounds) -> None:
        """A sound that is no speech, after the line's pause."""
        sound = noise(line.kind, num_samples_of(line.duration_us), random_for("sound", line.seed))
        edge = min(EDGE_SAMPLES, len(sound) // 2)
        sound[:edge] *= np.linspace(0, 1, edge, dtype=np.float32)
        sound[len(sound) - edge :] *= np.linspace(1, 0, edge, dtype=np.float32)
        self._add(num_samples_of(line.pause_us), sound * gain(line.level_db))

    def play(self, pcm: Samples) -> None:
        """A tick of the agent's voice, which a loudspeaker begins to play with the next tick."""
        if self._room.echo_db is None:
            return
        size = 1 << (len(pcm) + len(self._response) - 1).bit_length()
        spectrum = np.fft.rfft(pcm, size) * np.fft.rfft(self._response, size)
        heard = np.fft.irfft(spectrum, size)[: len(pcm) + len(self._response) - 1].astype(np.float32)
        self._add(num_samples_of(self._room.echo_delay_us), heard * gain(self._room.echo_db))

    def take(self) -> Samples:
        """The next tick [6000], in [-1, 1]."""
        start = self.tick % FLOOR_TICKS * SAMPLES_PER_TICK
        heard = self._floor[start : start + SAMPLES_PER_TICK].copy()
        now, self._ahead = self._ahead[:SAMPLES_PER_TICK], self._ahead[SAMPLES_PER_TICK:]
        heard[: len(now)] += now
        self.tick += 1
        return np.clip(heard, -1.0, 1.0)

    def speaks_at_end_of(self, tick: int) -> bool:
        """Whether somebody speaks in the room when this tick ends, which is when the agent decides what to do in it."""
        end = (tick + 1) * SAMPLES_PER_TICK
        return any(spoken.start < end < spoken.end for spoken in self._spoken)

    def _add(self, first: int, sound: Samples) -> None:
        missing = first + len(sound) - len(self._ahead)
        if missing > 0:
            self._ahead = np.pad(self._ahead, (0, missing))
        self._ahead[first : first + len(sound)] += sound


def any_surroundings(random: np.random.Generator, echo: bool | None = None) -> Room:
    """A room as those of simulated sessions. `echo`: whether a loudspeaker gives the agent back, None for either."""
    has_echo = bool(random.random() < 0.4) if echo is None else echo
    return Room(
        speech_db=float(random.uniform(-32, -20)),
        noise_db=float(random.uniform(-75, -48)),
        reverberates=bool(random.random() < 0.5),
        echo_db=float(random.uniform(-45, -28)) if has_echo else None,
        echo_delay_us=int(random.integers(20, 180)) * 1000,
        camera_ticks=1,
    )
