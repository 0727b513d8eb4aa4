"""Who speaks when: pauses, overlap, interruptions, and text that leads speech."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from model.training.data.clip import Split
from model.training.data.noise import NoiseKind
from model.training.simulation.cast import Cast
from model.training.simulation.playwright import write_script
from model.training.simulation.script import (
    AgentSpeaks,
    Picture,
    PictureKind,
    Sounds,
    UserShows,
    UserSpeaks,
    UserTypes,
    Waits,
)
from model.training.simulation.session import SimulatedSession, simulate
from model.training.simulation.staging import Span, Who
from streams.types import TICK_US, Finish, Message, Pace, Respond, Rewrite, TickOutput
from tests.model.training.simulation.bills import QUIET, TONES, session_with, small_script

ASK = UserSpeaks(pieces=("Tell me about the garden.",), pause_us=500_000)
LONG = AgentSpeaks(text="There are many flowers in the garden and two old apple trees near the wall.")
RED = Picture(PictureKind.SHAPE, "circle", "red", seed=3)


def spans(session: SimulatedSession, who: Who) -> list[Span]:
    return [span for span in session.story.spans if span.who is who]


def heard_ticks(session: SimulatedSession) -> list[int]:
    return [output.tick for output in session.outputs if output.pcm is not None]


def written(session: SimulatedSession) -> dict[int, str]:
    return {output.tick: output.text for output in session.outputs if output.text}


def loudness(session: SimulatedSession, tick: int) -> float:
    audio = session.windows[tick].audio
    assert audio is not None
    return float(np.sqrt(np.mean(audio**2)))


def test_an_answer_is_written_in_the_tick_after_the_question_and_heard_within_two():
    session = session_with(ASK, LONG)
    end_us = spans(session, Who.USER)[0].end_us
    last_heard = (end_us - 1) // TICK_US  # the tick that holds the last of the user's speech
    assert min(written(session)) == last_heard + 1
    assert heard_ticks(session)[0] == last_heard + 2


def test_every_word_is_written_before_it_is_heard():
    session = session_with(ASK, LONG)
    words = LONG.text.split()
    spoken = Cast().say(LONG.text, "tones/low", 0).words
    first = heard_ticks(session)[0]
    written_by = []
    for tick, text in sorted(written(session).items()):
        written_by += [tick] * len(text.split())
    assert len(written_by) == len(words)
    # The pitch of a line varies, its word times do not.
    assert all(tick < first + word.start_us // TICK_US for tick, word in zip(written_by, spoken, strict=True))


def test_what_is_written_adds_up_to_the_line():
    session = session_with(ASK, LONG)
    assert "".join(text for _, text in sorted(written(session).items())) == LONG.text


def test_an_interruption_overlaps_and_stops_the_agent_within_two_ticks():
    cut = UserSpeaks(pieces=("No, wait a moment please.",), over=0.4, stops_agent=True)
    session = session_with(ASK, LONG, cut, Waits(duration_us=3_000_000))
    start_us = spans(session, Who.USER)[1].start_us
    agent = spans(session, Who.AGENT)[0]
    assert agent.start_us < start_us < agent.end_us + TICK_US
    assert agent.note == "held"
    onset = start_us // TICK_US
    assert onset <= heard_ticks(session)[-1] <= onset + 2
    assert [output.finish for output in session.outputs if output.finish] == [Finish.HELD]
    whole = session_with(ASK, LONG)
    assert len("".join(written(session).values())) < len("".join(written(whole).values()))


def test_an_interjection_overlaps_and_changes_nothing():
    murmur = UserSpeaks(pieces=("Mm.",), over=0.4)
    session, alone = session_with(ASK, LONG, murmur), session_with(ASK, LONG)
    user, agent = spans(session, Who.USER)[1], spans(session, Who.AGENT)[0]
    assert agent.start_us < user.start_us < user.end_us < agent.end_us
    assert written(session) == written(alone)
    assert heard_ticks(session) == heard_ticks(alone)


def test_the_agent_waits_while_the_user_thinks():
    session = session_with(UserSpeaks(pieces=("What is,", "seven plus two?"), thinks_us=1_500_000), LONG)
    asked = spans(session, Who.USER)[0]
    assert asked.end_us - asked.start_us > 1_500_000
    assert min(written(session)) * TICK_US >= asked.end_us - TICK_US


def test_noise_and_long_silence_are_answered_with_nothing():
    noise = Sounds(kind=NoiseKind.MUSIC, duration_us=2_000_000, level_db=-25.0, seed=1)
    session = session_with(noise, Waits(duration_us=8_000_000))
    assert not written(session)
    assert not heard_ticks(session)
    assert max(loudness(session, tick) for tick in range(8)) > 0.02
    assert loudness(session, session.num_ticks - 2) < 0.001


def test_silence_is_broken_only_where_the_script_says_so():
    session = session_with(
        ASK, AgentSpeaks(text="Fine."), Waits(duration_us=10_000_000), AgentSpeaks(text="Still there?")
    )
    first, second = spans(session, Who.AGENT)
    assert second.start_us - first.end_us >= 10_000_000


def test_dictation_is_written_while_it_is_spoken_and_nothing_is_heard():
    session = session_with(UserSpeaks(pieces=("All the windows are closed today.",), transcribed=True))
    user = spans(session, Who.USER)[0]
    assert "".join(text for _, text in sorted(written(session).items())) == "All the windows are closed today."
    assert min(written(session)) * TICK_US < user.end_us
    assert not heard_ticks(session)


def test_the_agent_hears_itself_where_there_is_a_loudspeaker():
    session = session_with(ASK, LONG)
    echoing = session_with(ASK, LONG, room=msgspec.structs.replace(QUIET, echo_db=-28.0))
    tick = heard_ticks(session)[3] + 1
    assert loudness(echoing, tick) > 20 * loudness(session, tick)


def test_a_picture_that_is_drawn_is_there_when_its_ticks_are_over():
    session = session_with(ASK, AgentSpeaks(text="Here it is.", draws=RED))
    drawn = [output for output in session.outputs if output.image is not None]
    assert len(drawn) == 1
    assert drawn[0].tick >= max(written(session)) + 3
    assert drawn[0].finish is Finish.STOP


def test_the_camera_shows_a_picture_until_the_next():
    away = UserShows(picture=None, pause_us=1_000_000)
    session = session_with(ASK, UserShows(picture=RED, pause_us=1_000_000), AgentSpeaks(text="A circle."), away)
    ticks = [window.tick for window in session.windows if window.frames]
    assert ticks[0] * TICK_US >= spans(session, Who.USER)[0].end_us + 1_000_000
    assert ticks == list(range(ticks[0], ticks[-1] + 1))
    assert ticks[-1] < session.num_ticks - 1


def test_typed_requests_are_commands_as_clients_send_them():
    session = session_with(UserTypes(text="Hi.", pause_us=1_000_000), AgentSpeaks(text="Hello.", aloud=False))
    begin = session.windows[0].commands
    assert [type(command) for command in begin] == [Pace, Rewrite]
    (typed,) = [window for window in session.windows[1:] if window.commands]
    message, respond = typed.commands
    assert isinstance(message, Message)
    assert message.text == "Hi."
    assert isinstance(respond, Respond)
    assert not respond.speak
    assert written(session) == {typed.tick: "Hello."}


@pytest.mark.parametrize("index", range(6))
def test_the_agent_never_says_two_things_at_once(index):
    session = simulate(small_script(index), Cast(), drawing_ticks=3)
    ends = [output for output in session.outputs if output.done]
    assert [output.tick for output in ends] == list(range(session.num_ticks))
    frames = heard_ticks(session)
    assert len(frames) == len(set(frames))
    open_now: str | None = None
    for output in session.outputs:
        assert isinstance(output, TickOutput)
        if open_now is not None and output.response is not None:
            assert output.response == open_now
        open_now = None if output.finish else output.response or open_now


def test_sessions_hold_overlaps_and_interruptions():
    held = overlaps = 0
    bill = replace(TONES, num_exchanges=7)
    for index in range(8):
        session = simulate(write_script(bill, Split.TRAIN, index), Cast(), drawing_ticks=3)
        held += sum(output.finish is Finish.HELD for output in session.outputs)
        agent, user = spans(session, Who.AGENT), spans(session, Who.USER)
        overlaps += sum(a.start_us < u.end_us and u.start_us < a.end_us for a in agent for u in user)
    assert held >= 2
    assert overlaps >= 4


def test_the_agent_says_the_same_words_the_same_way_and_users_do_not():
    again = AgentSpeaks(text="It has many flowers.")
    session = session_with(ASK, again, ASK, again)
    frames = [output.pcm for output in session.outputs if output.pcm is not None]
    half = len(frames) // 2
    assert all(np.array_equal(first, second) for first, second in zip(frames[:half], frames[half:], strict=True))
    asked = spans(session, Who.USER)
    audio = np.concatenate([window.audio for window in session.windows if window.audio is not None])
    first, second = (audio[span.start_us * 24 // 1000 :][:12_000] for span in asked)
    assert not np.allclose(first, second, atol=1e-2)
