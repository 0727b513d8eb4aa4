"""What the microphone hears: the user, sounds of the room, its noise floor, and the agent's own voice coming back."""

import numpy as np

from model.training.data.level import LEVEL_DB
from model.training.data.noise import NoiseKind, noise
from model.training.data.rooms import any_room, impulse_response, in_room
from model.training.data.seeding import random_for
from model.training.simulation.script import Script
from model.training.simulation.staging import Staged, num_samples_of
from streams.types import SAMPLE_RATE_HZ, SAMPLES_PER_TICK, Samples

EDGE_SAMPLES = SAMPLE_RATE_HZ // 50  # sounds fade in and out, so that nothing clicks
NOISE_FLOORS = (NoiseKind.WHITE, NoiseKind.PINK, NoiseKind.BROWN)


def mix(script: Script, staged: Staged, voice: Samples) -> Samples:
    """All of it, [num_ticks * 6000] in [-1, 1]. `voice` is the agent's speech at the ticks that made it."""
    random = random_for("microphone", script.seed, script.split, script.index)
    room, num_samples = script.room, staged.num_ticks * SAMPLES_PER_TICK
    response = impulse_response(any_room(random), random)
    floor = NOISE_FLOORS[int(random.integers(len(NOISE_FLOORS)))]
    heard = noise(floor, num_samples, random) * gain(room.noise_db)
    for first, pcm in staged.spoken:
        _add(heard, first, (in_room(pcm, response) if room.reverberates else pcm) * gain(room.speech_db))
    for line, start_us in staged.sounds:
        sound = noise(line.kind, num_samples_of(line.duration_us), random_for("sound", line.seed))
        _add(heard, num_samples_of(start_us), _faded(sound) * gain(line.level_db))
    if room.echo_db is not None:
        # A tick's speech is played in the next, through a loudspeaker in the same room.
        delay = SAMPLES_PER_TICK + num_samples_of(room.echo_delay_us)
        _add(heard, delay, in_room(voice, response) * gain(room.echo_db))
    return np.clip(heard, -1.0, 1.0)


def gain(level_db: float) -> np.float32:
    """What brings a sound of the clips' level to this one."""
    return np.float32(10 ** ((level_db - LEVEL_DB) / 20))


def _add(heard: Samples, first: int, sound: Samples) -> None:
    """Mix in place; what lies beyond the end is lost."""
    end = min(first + len(sound), len(heard))
    if first < end:
        heard[first:end] += sound[: end - first]


def _faded(sound: Samples) -> Samples:
    edge = min(EDGE_SAMPLES, len(sound) // 2)
    ramp = np.ones(len(sound), np.float32)
    ramp[:edge] = np.linspace(0, 1, edge)
    ramp[len(sound) - edge :] = np.linspace(1, 0, edge)
    return sound * ramp
