"""EchoEngine: says back what it hears, reads and sees; a session alone and among others says the same."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.echo import EchoEngine
from realtime.engine import Engine, EngineFull
from realtime.worker import EngineWorker, TickEvent
from streams.resample import float_to_pcm16, pcm16_to_float
from streams.types import (
    SAMPLES_PER_TICK,
    AudioChunk,
    Command,
    Finish,
    Hold,
    Message,
    Pace,
    Respond,
    Rewrite,
    Role,
    Samples,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    Tool,
    ToolCallDelta,
    VideoFrame,
)

SILENCE = np.zeros(SAMPLES_PER_TICK, np.float32)


def make_voice(seed: int) -> Samples:
    """A window of noise that PCM16 holds exactly."""
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, SAMPLES_PER_TICK).astype(np.float32)
    return pcm16_to_float(float_to_pcm16(noise))


def say(text: str) -> Message:
    return Message(0, Role.USER, (text,))


class Chat:
    """One session of an engine, tick by tick."""

    def __init__(self, engine: EchoEngine | None = None, name: str = "a") -> None:
        self.engine = engine or EchoEngine()
        self.name = name
        self.tick = 0
        self.engine.open(name, seed=0)

    def window(self, *commands: Command, audio: Samples | None = None, frames: Sequence[VideoFrame] = ()) -> TickWindow:
        window = TickWindow(self.name, self.tick, audio, tuple(frames), commands)
        self.tick += 1
        return window

    def step(
        self, *commands: Command, audio: Samples | None = None, frames: Sequence[VideoFrame] = ()
    ) -> list[TickOutput]:
        (encoded,) = self.engine.encode([self.window(*commands, audio=audio, frames=frames)])
        assert isinstance(encoded, TickInput)
        outputs = [event for event in self.engine.step([encoded]) if isinstance(event, TickOutput)]
        assert [output.done for output in outputs][-1:] == [True]
        assert all(not output.done and output.pcm is not None for output in outputs[:-1])
        return outputs

    def answer(self, *commands: Command) -> list[TickOutput]:
        """All outputs from these commands until an answer ends."""
        outputs = self.step(*commands)
        while outputs[-1].finish is None:
            assert len(outputs) < 200
            outputs += self.step()
        return outputs


def text_of(outputs: Sequence[TickOutput]) -> str:
    return "".join(output.text for output in outputs)


def sound_of(outputs: Sequence[TickOutput]) -> list[Samples]:
    return [output.pcm for output in outputs if output.pcm is not None]


# --- text -----------------------------------------------------------------------------------------------------------


def test_an_answer_says_the_users_last_words_a_few_each_tick() -> None:
    outputs = Chat().answer(say("one two three four five"), Respond("r1"))
    assert [output.text for output in outputs] == ["You said: one two", " three four five"]
    assert {output.response for output in outputs} == {"r1"}
    assert [output.finish for output in outputs] == [None, Finish.STOP]
    assert [output.usage.text_out for output in outputs] == [len(output.ids) for output in outputs] == [4, 3]


def test_only_the_last_user_message_counts_and_parts_are_one() -> None:
    chat = Chat()
    chat.step(say("first"), Message(0, Role.USER, ("sec", "ond")), Message(0, Role.ASSISTANT, ("mine",)))
    assert text_of(chat.answer(Respond("r"))) == "You said: second"


def test_nothing_is_said_before_it_is_asked() -> None:
    (output,) = Chat().step(say("hello"))
    assert (output.text, output.response, output.finish) == ("", None, None)


@pytest.mark.parametrize(("max_tokens", "text"), [(0, ""), (3, "You said: a"), (6, "You said: a b c d")])
def test_max_tokens_cuts_the_answer(max_tokens: int, text: str) -> None:
    outputs = Chat().answer(say("a b c d e f"), Respond("r", max_tokens=max_tokens))
    assert text_of(outputs) == text
    assert outputs[-1].finish is Finish.LENGTH


def test_an_answer_that_just_fits_max_tokens_is_whole() -> None:
    outputs = Chat().answer(say("a b"), Respond("r", max_tokens=4))
    assert (text_of(outputs), outputs[-1].finish) == ("You said: a b", Finish.STOP)


def test_hold_ends_the_answer_at_once() -> None:
    chat = Chat()
    chat.step(say("a b c d e f g h i"), Respond("r"))
    (held,) = chat.step(Hold())
    assert (held.response, held.finish, held.text) == ("r", Finish.HELD, "")
    (after,) = chat.step()
    assert (after.response, after.finish) == (None, None)


def test_hold_without_an_answer_changes_nothing() -> None:
    (output,) = Chat().step(Hold())
    assert output.finish is None


def test_an_answer_asked_for_with_the_hold_begins_a_tick_later() -> None:
    chat = Chat()
    chat.step(say("a b c d e f g h i"), Respond("r1"))
    (held,) = chat.step(Hold(), say("new"), Respond("r2"))
    assert (held.response, held.finish) == ("r1", Finish.HELD)
    assert text_of(chat.answer()) == "You said: new"


def test_a_rewrite_replaces_the_past() -> None:
    chat = Chat()
    chat.step(say("old"))
    rewrite = Rewrite((Message(0, Role.SYSTEM, ("be brief",)),), (say("new"), Message(0, Role.ASSISTANT, ("ok",))))
    assert text_of(chat.answer(rewrite, Respond("r1"))) == "You said: new"
    assert text_of(chat.answer(Rewrite(()), Respond("r2"))) == "You said nothing."


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_comes_back_word_for_word(text: str) -> None:
    said = text_of(Chat().answer(say(text), Respond("r")))
    expected = text.encode(errors="replace").decode().split()
    assert said.split() == (["You", "said:", *expected] if expected else ["You", "said", "nothing."])


# --- tools ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tool", "called"), [("", "look"), ("listen", "listen")])
def test_a_forced_tool_is_called_with_no_arguments_in_two_pieces(tool: str, called: str) -> None:
    tools = (Tool("look", "", "{}"), Tool("listen", "", "{}"))
    outputs = Chat().answer(say("what is there?"), Respond("r", tools=tools, tool=tool))
    assert [output.tool_calls for output in outputs] == [
        (ToolCallDelta(0, called, "{"),),
        (ToolCallDelta(0, None, "}"),),
    ]
    assert (text_of(outputs), outputs[-1].finish) == ("", Finish.STOP)


def test_tools_that_are_not_forced_are_not_called() -> None:
    outputs = Chat().answer(say("hi"), Respond("r", tools=(Tool("look", "", "{}"),)))
    assert not any(output.tool_calls for output in outputs)


# --- sound ----------------------------------------------------------------------------------------------------------


def test_sound_comes_back_in_its_own_tick_and_the_turn_ends_with_silence() -> None:
    chat = Chat()
    for sound in (make_voice(1), make_voice(2)):
        early, done = chat.step(audio=sound)
        assert np.array_equal(early.pcm, sound)
        assert (early.codes.shape, early.response, done.finish) == ((1, 4), None, None)
        assert done.usage.audio_out == 1
    (done,) = chat.step(audio=SILENCE)
    assert done.finish is Finish.STOP
    (done,) = chat.step(audio=SILENCE)
    assert done.finish is None


def test_the_same_sound_has_the_same_codes_and_another_has_others() -> None:
    chat = Chat()
    codes = []
    for seed in (1, 1, 2, 3):
        codes += [output.codes.tolist() for output in chat.step(audio=make_voice(seed))[:-1]]
    assert codes[0] == codes[1] != codes[2]


def test_held_pace_keeps_sound_until_it_is_asked_for() -> None:
    chat = Chat()
    chat.step(Pace(free=False))
    for seed in (1, 2):
        chat.step(audio=make_voice(seed))
    assert sound_of(chat.step(audio=SILENCE)) == []
    outputs = chat.answer(Respond("r"))
    assert [np.array_equal(a, make_voice(b)) for a, b in zip(sound_of(outputs), (1, 2), strict=True)] == [True, True]
    assert text_of(outputs) == "You spoke."
    assert {output.response for output in outputs} == {"r"}
    assert sound_of(chat.answer(Respond("again"))) == []


def test_an_answer_that_must_not_speak_stays_text() -> None:
    chat = Chat()
    chat.step(Pace(free=False), audio=make_voice(1))
    outputs = chat.answer(Respond("r", speak=False))
    assert (sound_of(outputs), text_of(outputs)) == ([], "You spoke.")


def test_hold_stops_sound_and_forgets_what_waited() -> None:
    chat = Chat()
    chat.step(audio=make_voice(1))
    chat.step(audio=make_voice(2))
    (held,) = chat.step(Hold())
    assert (held.response, held.finish) == (None, Finish.HELD)
    assert sound_of(chat.step()) == []


def test_sound_in_a_message_is_padded_and_played_when_asked_for() -> None:
    chat = Chat()
    pcm = np.concatenate([make_voice(1), make_voice(2)[:100]])
    outputs = chat.answer(Message(0, Role.USER, (AudioChunk(0, pcm), "and words")), Respond("r"))
    played = np.concatenate(sound_of(outputs))
    assert np.array_equal(played[: len(pcm)], pcm)
    assert (len(played), played[len(pcm) :].any()) == (2 * SAMPLES_PER_TICK, np.False_)
    assert text_of(outputs) == "You said: and words"


def test_typed_text_is_answered_while_sound_keeps_coming() -> None:
    chat = Chat()
    outputs = chat.step(say("hello"), Respond("r"), audio=make_voice(0))
    for seed in range(1, 5):
        outputs += chat.step(audio=make_voice(seed))
    assert text_of(outputs) == "You said: hello"
    assert np.array_equal(sound_of(outputs), [make_voice(seed) for seed in range(5)])


# --- sight ----------------------------------------------------------------------------------------------------------


def make_halves() -> VideoFrame:
    """Left red, right blue."""
    rgb = np.zeros((30, 50, 3), np.uint8)
    rgb[:, :25, 0] = rgb[:, 25:, 2] = 255
    return VideoFrame(0, rgb)


def test_a_picture_in_a_message_comes_back_as_a_mosaic_at_the_end() -> None:
    chat = Chat()
    message = Message(0, Role.USER, ("describe this:", make_halves(), " please, in many words"))
    outputs = chat.answer(message, Respond("r"))
    assert text_of(outputs) == "You said: describe this: please, in many words"
    assert [output.image is not None for output in outputs] == [False] * (len(outputs) - 1) + [True]
    image = outputs[-1].image
    assert image is not None
    assert (image.shape, image.dtype) == ((256, 256, 3), np.uint8)
    assert (image[:, :128] == (255, 0, 0)).all()
    assert (image[:, 128:] == (0, 0, 255)).all()


def test_the_last_frame_of_a_camera_comes_back_once() -> None:
    chat = Chat()
    chat.step(frames=[VideoFrame(0, np.full((1, 1, 3), 9, np.uint8)), make_halves()])
    image = chat.answer(Respond("r1"))[-1].image
    assert image is not None
    assert image[0, 0].tolist() == [255, 0, 0]
    assert chat.answer(Respond("r2"))[-1].image is None


# --- as an engine ---------------------------------------------------------------------------------------------------


def test_inputs_hold_every_stream_as_tokens() -> None:
    chat = Chat()
    (encoded,) = chat.engine.encode([chat.window(say("hé"), audio=make_voice(1), frames=[make_halves()])])
    assert isinstance(encoded, TickInput)
    text = [i for block in encoded.blocks if block.stream is Stream.TEXT_IN for i in block.ids.tolist()]
    assert bytes(i for i in text if i < 256).decode() == "hé"
    (sound,) = [block for block in encoded.blocks if block.stream is Stream.AUDIO_IN]
    assert sound.codes.shape == (1, SAMPLES_PER_TICK)
    (picture,) = [block for block in encoded.blocks if block.stream is Stream.IMAGE_IN]
    assert picture.features.shape == (256, 3)
    _, done = chat.engine.step([encoded])
    assert isinstance(done, TickOutput)
    assert (done.usage.text_in, done.usage.image_in, done.usage.audio_in) == (len(text), 256, 1)


def run_script(engine: EchoEngine, names: Sequence[str], ticks: int = 12) -> dict[str, list[TickInput]]:
    """Every session says, shows and speaks something of its own; returns what was stepped."""
    stepped: dict[str, list[TickInput]] = {name: [] for name in names}
    for tick in range(ticks):
        windows = []
        for name in names:
            seed = ord(name[0]) * 100 + tick
            commands: tuple[Command, ...] = ()
            if tick == 4:
                commands = (say(f"I am {name} and I say a lot"), Respond(f"r-{name}"))
            windows.append(TickWindow(name, tick, make_voice(seed) if tick % 3 else SILENCE, commands=commands))
        for encoded in engine.encode(windows):
            assert isinstance(encoded, TickInput)
            stepped[encoded.session].append(encoded)
    return stepped


def fingerprint(events: Sequence[TickOutput | TickFailure]) -> list[tuple[object, ...]]:
    return [
        (e.tick, e.done, e.response, e.text, e.ids.tolist(), e.codes.tolist(), e.finish, e.usage)
        for e in events
        if isinstance(e, TickOutput)
    ]


def test_recorded_inputs_step_to_the_same_alone_and_among_others() -> None:
    names = ("alice", "bob", "carol")
    first = EchoEngine()
    for name in names:
        first.open(name, seed=1)
    recorded = run_script(first, names)
    together = [event for batch in zip(*recorded.values(), strict=True) for event in first.step(batch)]
    assert len(together) > 3 * 12
    for name in names:
        replay = EchoEngine(max_sessions=1)
        replay.open(name, seed=2)
        alone = [event for tick_input in recorded[name] for event in replay.step([tick_input])]
        assert fingerprint(alone) == fingerprint([event for event in together if event.session == name])


def test_sound_of_all_sessions_leaves_before_any_tick_ends() -> None:
    engine = EchoEngine()
    chats = [Chat(engine, name) for name in "ab"]
    events: list[TickOutput | TickFailure] = []
    for _ in range(2):
        windows = [chat.window(audio=make_voice(1)) for chat in chats]
        events = list(engine.step([i for i in engine.encode(windows) if isinstance(i, TickInput)]))
    assert [(e.session, e.done) for e in events if isinstance(e, TickOutput)] == [
        ("a", False),
        ("b", False),
        ("a", True),
        ("b", True),
    ]


def test_slots_are_counted_and_freed() -> None:
    engine = EchoEngine(max_sessions=2)
    engine.open("a", seed=0)
    engine.open("b", seed=0)
    with pytest.raises(EngineFull, match="2 slots"):
        engine.open("c", seed=0)
    engine.close("a")
    engine.close("nobody")
    engine.open("c", seed=0)
    with pytest.raises(ValueError, match="'c'"):
        engine.open("c", seed=0)


def test_a_session_that_is_not_open_fails_alone() -> None:
    chat = Chat()
    encoded = chat.engine.encode([chat.window(), TickWindow("stranger", 3)])
    assert encoded[1] == TickFailure("stranger", 3, "the session is not open")
    events = list(chat.engine.step([TickInput("a", 0), TickInput("stranger", 3)]))
    assert {type(event) for event in events} == {TickOutput, TickFailure}


async def test_it_satisfies_the_engine_protocol_and_runs_in_the_worker() -> None:
    engine: Engine = EchoEngine()
    worker = EngineWorker(engine)
    events: list[TickEvent] = []
    await worker.open("a", seed=0)
    await worker.tick([TickWindow("a", 0, commands=(say("hi"), Respond("r")))], events.append)
    await worker.close("a")
    await worker.shutdown()
    assert [type(event) for event in events] == [TickInput, TickOutput]
    assert isinstance(events[-1], TickOutput)
    assert events[-1].text == "You said: hi"
