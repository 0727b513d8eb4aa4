"""A simulated session: the windows a server would have taken from it, and what the agent is to do in each tick.

Media and words only, no tokens: what they mean in tokens depends on the weights, and is worked out when a model is
trained on them. The windows begin as the server's do: who paces the model, then the instructions.
"""

from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np

from model.training.data.seeding import random_for
from model.training.simulation.cast import Cast
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.microphone import mix
from model.training.simulation.pictures import by_hand, in_front_of_camera
from model.training.simulation.script import Script
from model.training.simulation.staging import Span, Staged, Utterance, stage, voice_track
from streams.resample import float_to_pcm16, pcm16_to_float
from streams.types import (
    SAMPLES_PER_TICK,
    TICK_US,
    AudioChunk,
    Command,
    Finish,
    Message,
    Pace,
    Pixels,
    Respond,
    Rewrite,
    Role,
    Samples,
    TickOutput,
    TickWindow,
    VideoFrame,
)

MAX_VOICE_PROMPT_TICKS = 8  # two seconds tell a voice
CAMERA_SIDE_PX = 160
CAMERA_SHAKE_PX = 8  # a hand does not hold still


class Story(msgspec.Struct, frozen=True):
    """What a simulated recording keeps of how it came about: its script, and who was heard when."""

    script: Script
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class SimulatedSession:
    """`outputs` are a tick's in their order: an early one where the agent is heard, then one that ends the tick.

    Their `response` names the utterance, `finish` ends it: STOP where all was said, HELD where the user cut in.
    """

    name: str
    story: Story
    windows: tuple[TickWindow, ...]
    outputs: tuple[TickOutput, ...]

    @property
    def num_ticks(self) -> int:
        return len(self.windows)

    @property
    def duration_s(self) -> float:
        return self.num_ticks * TICK_US / 1e6


def simulate(script: Script, cast: Cast, drawing_ticks: int, book: EmojiBook | None = None) -> SimulatedSession:
    """Speak, place, mix and film one script. A script with emoji in it needs their `book`.

    The microphone is closed where nothing in the script is heard.
    """
    name = f"sim-{script.split}-{script.index:06d}"
    staged = stage(script, cast, drawing_ticks)
    commands = _commands(script, cast, staged)
    frames = _frames(script, staged, book)
    heard: Samples | None = None
    if staged.microphone_open:
        microphone = mix(script, staged, voice_track(staged.num_ticks, staged.utterances))
        heard = pcm16_to_float(float_to_pcm16(microphone))  # a client sends 16 bits
    windows = tuple(
        TickWindow(
            name,
            tick,
            audio=heard[tick * SAMPLES_PER_TICK : (tick + 1) * SAMPLES_PER_TICK] if heard is not None else None,
            frames=(VideoFrame(tick * TICK_US, frames[tick]),) if tick in frames else (),
            commands=tuple(commands.get(tick, ())),
        )
        for tick in range(staged.num_ticks)
    )
    outputs = tuple(
        output for tick in range(staged.num_ticks) for output in _outputs(name, tick, staged.utterances, book)
    )
    return SimulatedSession(name, Story(script, tuple(staged.spans)), windows, outputs)


def voice_prompt(instructions: str, voice: AudioChunk | None) -> Message:
    """The system's turn; sound in it selects the voice in which the model speaks."""
    return Message(0, Role.SYSTEM, (instructions, voice) if voice is not None else (instructions,))


def _commands(script: Script, cast: Cast, staged: Staged) -> dict[int, list[Command]]:
    voice = None
    if script.voice_text:
        spoken = cast.say(script.voice_text, script.agent_voice, script.seed)
        pcm = pcm16_to_float(float_to_pcm16(spoken.pcm[: MAX_VOICE_PROMPT_TICKS * SAMPLES_PER_TICK]))
        voice = AudioChunk(0, pcm)
    commands: dict[int, list[Command]] = {
        0: [Pace(free=True), Rewrite(prefix=(voice_prompt(script.instructions, voice),))]
    }
    asked = {utterance.typed_tick: utterance for utterance in staged.utterances if utterance.typed_tick is not None}
    for tick, typed in staged.typed:
        commands.setdefault(tick, []).append(Message(tick * TICK_US, Role.USER, (typed.text,)))
        if tick in asked:
            commands[tick].append(Respond(asked[tick].name, speak=asked[tick].aloud))
    return commands


def _frames(script: Script, staged: Staged, book: EmojiBook | None) -> dict[int, Pixels]:
    """What the camera sends, by tick: the first picture at once, then one every so many ticks."""
    random = random_for("camera", script.seed, script.split, script.index)
    frames: dict[int, Pixels] = {}
    views = [*staged.views, (staged.num_ticks, None)]
    for (start, picture), (end, _) in pairwise(views):
        if picture is not None:
            scene = in_front_of_camera(picture, CAMERA_SIDE_PX + CAMERA_SHAKE_PX, random, book)
            for tick in range(start, end, script.room.camera_ticks):
                y, x = random.integers(0, CAMERA_SHAKE_PX + 1, 2)
                frames[tick] = np.ascontiguousarray(scene[y : y + CAMERA_SIDE_PX, x : x + CAMERA_SIDE_PX])
    return frames


@dataclass(slots=True)
class _Doing:
    """What the agent does in one tick."""

    name: str | None = None
    text: str = ""
    pcm: Samples | None = None
    image: Pixels | None = None
    finish: Finish | None = None


def _outputs(name: str, tick: int, utterances: list[Utterance], book: EmojiBook | None) -> list[TickOutput]:
    doing = _doing(tick, utterances, book)
    outputs = []
    if doing.pcm is not None:
        outputs.append(TickOutput(name, tick, done=False, response=doing.name, pcm=doing.pcm))
    outputs.append(
        TickOutput(name, tick, done=True, response=doing.name, text=doing.text, image=doing.image, finish=doing.finish)
    )
    return outputs


def _doing(tick: int, utterances: list[Utterance], book: EmojiBook | None) -> _Doing:
    for utterance in utterances:
        start = min([*utterance.text_at, utterance.first_frame])
        if start <= tick <= utterance.end_tick:
            is_last = tick == utterance.end_tick
            place = (tick - utterance.first_frame) * SAMPLES_PER_TICK
            has_frame = 0 <= place < len(utterance.pcm)
            return _Doing(
                utterance.name,
                utterance.text_at.get(tick, ""),
                utterance.pcm[place : place + SAMPLES_PER_TICK] if has_frame else None,
                by_hand(utterance.picture, book=book) if is_last and utterance.picture is not None else None,
                (Finish.HELD if utterance.held else Finish.STOP) if is_last else None,
            )
    return _Doing()
