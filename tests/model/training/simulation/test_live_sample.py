"""A simulated session packs to what the server would have packed from the same media, position by position."""

import base64
import json
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.sequences import Sample
from model.training.simulation.cast import Cast
from model.training.simulation.script import (
    AgentSpeaks,
    AnyLine,
    Picture,
    PictureKind,
    UserShows,
    UserSpeaks,
    UserTypes,
    Waits,
)
from model.training.simulation.session import SimulatedSession, simulate
from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import parse_patch
from realtime.session.session import Session
from realtime.session.setup import SessionSetup
from streams.resample import float_to_pcm16
from streams.types import (
    TICK_US,
    Message,
    OpenTurn,
    Respond,
    Source,
    Stream,
    TickInput,
    TickOutput,
    TickWindow,
    TokenBlock,
)
from tests.model.training.simulation.bills import session_with, small_script
from tests.model.training.simulation.puppet import Puppet

WEIGHTS = SilenceWeights()
ASK = UserSpeaks(pieces=("Tell me about the garden.",), pause_us=500_000)
STAR = Picture(PictureKind.SHAPE, "star", "blue", seed=3)
MANY_FLOWERS = AgentSpeaks(text="There are many flowers in the garden and two old apple trees.")

# What can go on in a session, each as a script of its own.
SCENES: dict[str, Sequence[AnyLine]] = {
    "answer": (ASK, AgentSpeaks(text="It has many flowers.")),
    "interruption": (
        ASK,
        MANY_FLOWERS,
        UserSpeaks(pieces=("No, stop it please.",), over=0.4, stops_agent=True),
        Waits(duration_us=2_000_000),
    ),
    "typed, answered aloud": (UserTypes(text="Hi there.", pause_us=900_000), AgentSpeaks(text="Hello to you.")),
    "typed, answered in writing": (
        UserTypes(text="Hi.", pause_us=900_000),
        AgentSpeaks(text="Hello.", aloud=False),
        ASK,
        AgentSpeaks(text="Yes."),
    ),
    "typed, unasked": (UserTypes(text="Hi.", asks=False, pause_us=900_000), AgentSpeaks(text="Hello there.")),
    "typed answer cut off": (
        UserTypes(text="Tell me.", pause_us=900_000),
        MANY_FLOWERS,
        UserSpeaks(pieces=("No, stop it please.",), over=0.4, stops_agent=True),
        Waits(duration_us=2_000_000),
    ),
    "typed more than a tick reads": (UserTypes(text="word " * 40, pause_us=900_000), AgentSpeaks(text="Yes.")),
    "drawing": (ASK, AgentSpeaks(text="Here is a star.", draws=STAR), Waits(duration_us=2_000_000)),
    "seeing": (UserShows(picture=STAR, pause_us=600_000), ASK, AgentSpeaks(text="A blue star.")),
    "dictation": (UserSpeaks(pieces=("All the windows are closed.",), transcribed=True), Waits(duration_us=2_000_000)),
}


# Without a microphone the session ticks only while there is something to do, so these meet the engine alone.
WRITTEN_SCENES: dict[str, Sequence[AnyLine]] = {
    "written": (UserTypes(text="Hi.", pause_us=900_000), AgentSpeaks(text="Hello to you there.", aloud=False)),
    "written, unasked": (
        UserTypes(text="Hi.", asks=False, pause_us=900_000),
        AgentSpeaks(text="Hello to you, my old friend.", aloud=False),
        UserTypes(text="Bye.", pause_us=900_000),
        AgentSpeaks(text="Bye.", aloud=False),
    ),
    "seen and drawn in silence": (
        UserShows(picture=STAR, pause_us=600_000),
        UserTypes(text="Draw it.", pause_us=300_000),
        AgentSpeaks(text="Here is a star.", draws=STAR, aloud=False),
        Waits(duration_us=2_000_000),
    ),
}


def sample_and_puppet(session: SimulatedSession) -> tuple[Sample, Puppet]:
    puppet = Puppet(tiny(), seed=1)
    return LiveScribe(puppet.network, ByteTokenizer(), WEIGHTS).write(session.windows, session.outputs), puppet


def drive(puppet: Puppet, sample: Sample, windows: Sequence[TickWindow]) -> list[TickInput]:
    """The engine's own loop over these windows, its heads saying what the sample says."""
    puppet.network.follow(sample)
    puppet.engine.open(windows[0].session, seed=1)
    inputs = []
    for window in windows:
        (tick_input,) = puppet.engine.encode([window])
        assert isinstance(tick_input, TickInput), tick_input
        inputs.append(tick_input)
        outputs = list(puppet.engine.step([tick_input]))
        assert isinstance(outputs[-1], TickOutput), outputs[-1]
    return inputs


def assert_engine_agrees(sample: Sample, puppet: Puppet, windows: Sequence[TickWindow]) -> None:
    """Every decoder input is the same bit for bit, and heads were asked where the sample teaches them."""
    drive(puppet, sample, windows)
    expected = torch.cat([puppet.network.embedding.embed_block(block) for block in sample.blocks])
    assert torch.equal(torch.cat(puppet.decoder.inputs), expected)
    assert puppet.network.asked_text == set(np.flatnonzero(sample.text_weight_T).tolist())
    assert puppet.network.asked_audio == set(np.flatnonzero(sample.audio_weight_T).tolist())


@pytest.mark.parametrize("scene", [*SCENES, *WRITTEN_SCENES])
def test_every_position_is_the_one_that_the_engine_appends(scene):
    session = session_with(*{**SCENES, **WRITTEN_SCENES}[scene])
    assert_engine_agrees(*sample_and_puppet(session), session.windows)


@pytest.mark.parametrize("index", range(2))
def test_whole_scripts_with_voice_prompts_pack_as_the_engine_packs_them(index):
    session = simulate(small_script(index), Cast(), drawing_ticks=3)
    assert_engine_agrees(*sample_and_puppet(session), session.windows)


# --- through the session that a client talks to ---------------------------------------------------------------------


class Tap:
    """Keeps the windows that a session makes."""

    def __init__(self) -> None:
        self.windows: list[TickWindow] = []

    def window(self, window: TickWindow) -> None:
        self.windows.append(window)

    def __getattr__(self, name: str):
        return lambda *_: None


class Silent:
    """A voice activity detector that hears nobody, so that no turn of its own is committed."""

    def push(self, pcm: np.ndarray) -> list[float]:
        return []

    def reset(self) -> None:
        """Nothing to forget."""


def windows_through_a_session(session: SimulatedSession, puppet: Puppet) -> list[TickWindow]:
    """What a real session takes from a client that sends the same media and events, ticked on time."""
    now_us, tap = [0], Tap()
    instructions = session.story.script.instructions
    live = Session(
        SessionSetup(
            name=session.name,
            info=puppet.engine.info,
            ids=Ids(random.Random(7)),
            now_us=lambda: now_us[0],
            expires_at=2_000_000_000,
            patch=parse_patch({"instructions": instructions}, "session"),
            make_activity=Silent,
            tap=tap,
        )
    )
    live.start()
    puppet.engine.open(session.name, seed=1)
    for window in session.windows:
        for frame in window.frames:
            live.see(frame.rgb)
        for command in window.commands:
            send(live, command)
        data = base64.b64encode(float_to_pcm16(window.audio).tobytes()).decode()
        live.receive_frame(json.dumps({"type": "input_audio_buffer.append", "audio": data}))
        (tick_input,) = puppet.engine.encode([live.take_window()])
        for output in puppet.engine.step([tick_input]):
            live.deliver(output)
        now_us[0] += TICK_US
    return tap.windows


def send(live: Session, command: object) -> None:
    if isinstance(command, Message):
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": command.text}]}
        live.receive_frame(json.dumps({"type": "conversation.item.create", "item": item}))
    elif isinstance(command, Respond):
        modalities = ["audio"] if command.speak else ["text"]
        options = {"output_modalities": modalities}
        live.receive_frame(json.dumps({"type": "response.create", "response": options}))


@pytest.mark.parametrize("scene", SCENES)
def test_a_real_session_hands_the_engine_the_same_windows(scene):
    session = session_with(*SCENES[scene])
    sample, puppet = sample_and_puppet(session)
    puppet.network.follow(sample)

    taken = windows_through_a_session(session, puppet)

    assert len(taken) == len(session.windows)
    for ours, theirs in zip(session.windows, taken, strict=True):
        assert ours.tick == theirs.tick
        assert np.array_equal(ours.audio, theirs.audio)
        assert [frame.rgb.tobytes() for frame in ours.frames] == [frame.rgb.tobytes() for frame in theirs.frames]
        assert [type(command) for command in ours.commands] == [type(command) for command in theirs.commands]
    expected = torch.cat([puppet.network.embedding.embed_block(block) for block in sample.blocks])
    assert torch.equal(torch.cat(puppet.decoder.inputs), expected)


# --- what is taught -------------------------------------------------------------------------------------------------


def produced(sample: Sample, stream: Stream) -> list[TokenBlock]:
    return [block for block in sample.blocks if block.stream is stream and block.source is Source.PRODUCED]


def test_no_output_is_a_target_and_never_a_position():
    sample, puppet = sample_and_puppet(session_with(*SCENES["answer"]))
    no_output = puppet.network.config.vocab.no_output
    taught = sample.text_weight_T > 0
    assert (sample.text_T[taught] == no_output).sum() > 15
    assert not any((block.ids == no_output).any() for block in sample.blocks if block.ids is not None)


def test_the_agent_writes_its_line_and_closes_it():
    sample, puppet = sample_and_puppet(session_with(*SCENES["answer"]))
    ids = [int(token) for block in produced(sample, Stream.TEXT_IMAGE_OUT) for token in block.ids]
    end = ByteTokenizer().special(puppet.network.config.chat.end)
    assert ByteTokenizer().decode(ids) == "It has many flowers."
    assert ids[-1] == end


def test_what_was_cut_off_is_not_closed():
    sample, puppet = sample_and_puppet(session_with(*SCENES["interruption"]))
    ids = [int(token) for block in produced(sample, Stream.TEXT_IMAGE_OUT) for token in block.ids]
    assert ByteTokenizer().special(puppet.network.config.chat.end) not in ids


def test_text_leads_speech_also_in_tokens():
    sample, _ = sample_and_puppet(session_with(*SCENES["answer"]))
    assert produced(sample, Stream.TEXT_IMAGE_OUT)[0].tick < produced(sample, Stream.AUDIO_OUT)[0].tick


def test_a_picture_is_drawn_between_its_delimiters_while_the_agent_speaks():
    sample, puppet = sample_and_puppet(session_with(*SCENES["drawing"]))
    vocab = puppet.network.config.vocab
    blocks = produced(sample, Stream.TEXT_IMAGE_OUT)
    ids = [int(token) for block in blocks for token in block.ids]
    start, end = ids.index(vocab.delimiter("image_start")), ids.index(vocab.delimiter("image_end"))
    assert end - start - 1 == puppet.network.num_image_codes
    assert all(vocab.first_image <= code < vocab.no_output for code in ids[start + 1 : end])
    drawn = {block.tick for block in blocks if vocab.first_image <= int(block.ids[0]) < vocab.no_output}
    assert drawn & {block.tick for block in produced(sample, Stream.AUDIO_OUT)}


def test_silence_weighs_less_than_what_is_said_and_more_at_its_edges():
    sample, puppet = sample_and_puppet(session_with(Waits(duration_us=5_000_000), *SCENES["answer"]))
    silent = sample.text_T == puppet.network.config.vocab.no_output
    weights = set(np.unique(sample.text_weight_T[silent & (sample.text_weight_T > 0)]).tolist())
    assert weights == {np.float32(WEIGHTS.silence), np.float32(WEIGHTS.edge)}
    assert set(sample.text_weight_T[~silent].tolist()) <= {0.0, 1.0}


def test_half_a_minute_of_silence_do_not_drown_an_answer():
    session = session_with(Waits(duration_us=30_000_000), *SCENES["answer"])
    sample, _ = sample_and_puppet(session)
    silent = sample.audio_TK[:, 0] < 0
    assert sample.audio_weight_T[silent].sum() < 5 * sample.audio_weight_T[~silent].sum()
    assert (silent & (sample.audio_weight_T > 0)).sum() > 15 * (~silent).sum()


def test_the_voice_prompt_stands_pinned_in_the_system_turn():
    session = session_with(*SCENES["answer"], voice_text="This is my voice.")
    sample, _ = sample_and_puppet(session)
    pinned = [block for block in sample.blocks if block.pinned]
    assert any(block.stream is Stream.AUDIO_IN for block in pinned)
    assert sample.blocks[: len(pinned)] == tuple(pinned)


def test_a_typed_request_opens_the_agents_turn():
    session = session_with(*SCENES["typed, answered aloud"])
    _, puppet = sample_and_puppet(session)
    puppet.engine.open(session.name, seed=1)
    inputs = puppet.engine.encode(session.windows)
    assert sum(isinstance(action, OpenTurn) for tick_input in inputs for action in tick_input.actions) == 1
