"""The life of a call, with connections that are played and time that stands still."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from realtime.echo import EchoEngine
from realtime.limits import Limits
from realtime.metrics import Metrics
from realtime.protocol.ids import Ids
from realtime.scheduler import Demand
from realtime.session.session import CloseKind, Session
from realtime.session.setup import SessionSetup
from realtime.transports.webrtc.call import Call, CallSetting
from realtime.transports.webrtc.lifeline import CONNECT_TIMEOUT_US, SILENT_MICROPHONE_US
from realtime.transports.webrtc.offer import Offer
from realtime.transports.webrtc.opus import OpusEncoder
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.peer import PeerOwner
from streams.clock import FakeClock
from streams.types import TickInput, TickOutput
from tests.realtime.stage import LoudIsSpeech
from tests.realtime.transports.sounds import tone

OFFER = Offer("v=0\r\n", ("audio", "application"))
S = 1_000_000


class PlayedPeer:
    """A connection that does what the test says."""

    def __init__(self, owner: PeerOwner) -> None:
        self.owner = owner
        self.sent: list[str] = []
        self.is_open = False
        self.is_closed = False
        self.num_undelivered = 0
        self.buffered_bytes = 0
        self._num_packets = 0
        self._encoder = OpusEncoder()

    async def answer(self, offer: Offer) -> str:
        return "the answer"

    def open(self) -> None:
        self.is_open = True
        self.owner.peer_opened(self)  # type: ignore[arg-type]

    def lose(self) -> None:
        self.is_open = False
        self.owner.peer_gone(self)  # type: ignore[arg-type]

    def send(self, message: str) -> None:
        self.sent.append(message)

    def say(self, kind: str, **fields: Any) -> None:
        self.owner.receive(self, json.dumps({"type": kind, **fields}))  # type: ignore[arg-type]

    def speak(self) -> None:
        """One packet, 20 ms of a tone."""
        payload = self._encoder.push(tone(440, 20))
        packet = OpusPacket(self._num_packets, self._num_packets * 960, payload)
        self._num_packets += 1
        self.owner.hear(self, packet)  # type: ignore[arg-type]

    def ping(self) -> None:
        self.owner.peer_alive(self)  # type: ignore[arg-type]

    async def close(self) -> None:
        self.is_closed = True
        self.is_open = False

    @property
    def types(self) -> list[str]:
        return [json.loads(message)["type"] for message in self.sent]


class Line:
    """A call on a session with an EchoEngine that ticks when told."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.engine = EchoEngine()
        self.engine.open("sess_test", 0)
        self.outgoing = asyncio.Event()
        self.peers: list[PlayedPeer] = []
        ids = Ids(random.Random(3))
        self.session = Session(
            SessionSetup(
                name="sess_test",
                info=self.engine.info,
                ids=ids,
                now_us=self.clock.now_us,
                expires_at=2_000_000_000,
                make_activity=LoudIsSpeech,
                notify=self.outgoing.set,
            )
        )
        self.metrics = Metrics(self.engine.info)
        setting = CallSetting(self._make_peer, 15.0, limits or Limits(), self.clock, self.metrics, ids)
        self.call = Call("rtc_1", "key-1", self.session, self.outgoing, setting)
        self.session.start()
        self.running = asyncio.create_task(self.call.run())

    def _make_peer(self, owner: PeerOwner) -> Any:
        self.peers.append(PlayedPeer(owner))
        return self.peers[-1]

    async def connect(self) -> PlayedPeer:
        """Another connection, open."""
        assert await self.call.connect(OFFER) == "the answer"
        self.peers[-1].open()
        await self.clock.settle()
        return self.peers[-1]

    def tick(self) -> None:
        (tick_input,) = self.engine.encode([self.session.take_window()])
        assert isinstance(tick_input, TickInput)
        for output in self.engine.step([tick_input]):
            assert isinstance(output, TickOutput)
            self.session.deliver(output)

    @property
    def ending(self) -> CloseKind | None:
        return self.session.closing.kind if self.session.closing is not None else None


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    yield line
    line.session.close(CloseKind.SHUTDOWN, "the test is over")
    await line.clock.advance_us(S)
    await line.running


# --- events ---------------------------------------------------------------------------------------------------------


async def test_events_wait_for_the_connection(line: Line):
    await line.clock.settle()
    peer = await line.connect()
    assert peer.types == ["session.created"]


async def test_the_clients_events_are_answered(line: Line):
    peer = await line.connect()
    peer.say("session.update", session={"type": "realtime"})
    peer.say("nonsense")
    await line.clock.settle()
    assert peer.types == ["session.created", "session.updated", "error"]


async def test_sound_is_heard_and_its_deltas_stay_here(line: Line):
    peer = await line.connect()
    for _ in range(3):
        for _ in range(13):
            peer.speak()
        line.tick()
        await line.clock.settle()
    assert "response.content_part.added" in peer.types
    assert "response.output_audio.delta" not in peer.types
    assert line.call.take_speech(peer, 4_800).any()  # type: ignore[arg-type]
    await line.clock.settle()
    assert peer.types[-1] == "output_audio_buffer.started"
    peer.say("output_audio_buffer.clear")
    await line.clock.settle()
    assert peer.types[-2:] == ["output_audio_buffer.cleared", "conversation.item.truncated"]
    assert not line.call.take_speech(peer, 4_800).any()  # type: ignore[arg-type]


async def test_a_client_that_does_not_read_is_let_go(line: Line):
    peer = await line.connect()
    peer.buffered_bytes = 5 << 20
    peer.say("session.update", session={"type": "realtime"})
    await line.clock.settle()
    assert line.ending is CloseKind.SLOW_CLIENT


async def test_a_client_that_floods_is_let_go():
    line = Line(replace(Limits(), events_per_s=1.0, event_burst=5))
    peer = await line.connect()
    for _ in range(6):
        peer.say("input_audio_buffer.clear")
    assert line.ending is CloseKind.SLOW_CLIENT
    await line.clock.advance_us(S)
    await line.running


async def test_followers_see_every_event_until_the_end(line: Line):
    seen: list[str | None] = []
    peer = await line.connect()
    line.call.follow(seen.append)
    peer.say("session.update", session={"type": "realtime"})
    await line.clock.settle()
    line.session.close(CloseKind.SHUTDOWN, "over")
    await line.clock.advance_us(S)
    await line.running
    assert [json.loads(frame)["type"] for frame in seen[:-1] if frame] == ["session.created", "session.updated"]
    assert seen[-1] is None


async def test_a_mistake_of_ours_costs_this_session_only(line: Line, caplog: pytest.LogCaptureFixture):
    peer = await line.connect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line.session, "hear", lambda chunk: 1 / 0)
        peer.speak()
    assert line.ending is CloseKind.ENGINE_FAILED
    assert "failed in its microphone" in caplog.text


# --- silence --------------------------------------------------------------------------------------------------------


async def test_a_client_that_never_connects_is_given_up(line: Line):
    await line.call.connect(OFFER)
    await line.clock.advance_us(CONNECT_TIMEOUT_US)
    assert line.ending is None
    await line.clock.advance_us(S)
    assert line.ending is CloseKind.CLIENT_LEFT
    assert line.peers[0].is_closed


async def test_a_client_that_hangs_up_ends_its_session(line: Line):
    peer = await line.connect()
    peer.speak()
    peer.lose()
    assert line.ending is CloseKind.CLIENT_LEFT
    await line.clock.settle()
    assert line.running.done()


async def test_ticks_go_on_while_a_speaking_client_is_lost(line: Line):
    peer = await line.connect()
    peer.speak()
    await line.clock.advance_us(14 * S)
    assert line.session.demand() is Demand.LIVE
    assert line.ending is None
    await line.clock.advance_us(2 * S)
    assert line.ending is CloseKind.CLIENT_LEFT


async def test_a_microphone_that_was_switched_off_is_no_loss(line: Line):
    peer = await line.connect()
    peer.speak()
    for _ in range(30):
        await line.clock.advance_us(S)
        peer.ping()
    for _ in range(6):  # the engine reads the last sound
        line.tick()
    assert line.session.demand() is Demand.IDLE
    assert line.ending is None


async def test_a_client_that_closes_after_a_silence_is_waited_for(line: Line):
    peer = await line.connect()
    peer.speak()
    await line.clock.advance_us(SILENT_MICROPHONE_US + S)
    peer.lose()
    assert line.ending is None
    second = await line.connect()
    assert second.types == ["session.created"]


async def test_a_session_expires():
    line = Line(replace(Limits(), max_session_s=60.0))
    peer = await line.connect()
    for _ in range(5):
        await line.clock.advance_us(10 * S)
        peer.ping()
    assert line.ending is None
    await line.clock.advance_us(10 * S)
    assert line.ending is CloseKind.EXPIRED
    await line.clock.advance_us(S)
    await line.running


# --- a new connection -----------------------------------------------------------------------------------------------


async def test_a_new_connection_brings_what_the_old_one_did_not_deliver(line: Line):
    old = await line.connect()
    old.say("session.update", session={"type": "realtime", "instructions": "one"})
    await line.clock.settle()
    old.num_undelivered = 2
    for text in ("two", "three"):
        old.say("session.update", session={"type": "realtime", "instructions": text})
    await line.clock.settle()
    new = await line.connect()
    events = [json.loads(message) for message in new.sent]
    assert [event["type"] for event in events] == ["session.created", "session.updated", "session.updated"]
    assert [event["session"]["instructions"] for event in events] == ["three", "two", "three"]
    assert new.sent[1:] == old.sent[-2:]
    assert old.is_closed


async def test_the_old_connection_carries_the_session_until_the_new_one_is_open(line: Line):
    old = await line.connect()
    await line.call.connect(OFFER)
    new = line.peers[-1]
    old.say("session.update", session={"type": "realtime"})
    await line.clock.settle()
    assert old.types[-1] == "session.updated"
    assert new.sent == []
    new.speak()
    assert line.session.unheard_samples == 0, "only one microphone is heard"
    new.lose()
    await line.clock.settle()
    assert (line.ending, new.is_closed) == (None, True)


async def test_an_old_connection_that_is_closed_meanwhile_ends_nothing(line: Line):
    old = await line.connect()
    await line.call.connect(OFFER)
    old.lose()
    assert line.ending is None
    line.peers[-1].open()
    await line.clock.settle()
    assert line.peers[-1].types[0] == "session.created"


async def test_sound_goes_on_where_it_was(line: Line):
    old = await line.connect()
    for _ in range(10):
        old.speak()
    new = await line.connect()
    for _ in range(10):
        new.speak()
    assert line.session.unheard_samples == 20 * 480
    assert not line.call.take_speech(old, 480).any()  # type: ignore[arg-type]


async def test_a_call_that_is_over_takes_no_connection(line: Line):
    await line.connect()
    line.session.close(CloseKind.SHUTDOWN, "over")
    await line.clock.advance_us(S)
    await line.running
    with pytest.raises(ValueError, match="ended meanwhile"):
        await line.call.connect(OFFER)
    assert line.peers[-1].is_closed


async def test_the_last_events_are_given_time_to_arrive(line: Line):
    peer = await line.connect()
    peer.num_undelivered = 1
    line.session.close(CloseKind.SHUTDOWN, "over")
    await line.clock.advance_us(100_000)
    assert not peer.is_closed
    peer.num_undelivered = 0
    await line.clock.advance_us(100_000)
    assert peer.is_closed


# --- metrics --------------------------------------------------------------------------------------------------------


async def test_metrics_follow_the_network(line: Line):
    peer = await line.connect()
    for number in range(50):
        if number == 20:
            peer._num_packets += 1  # lost
        peer.speak()
        await line.clock.advance_us(20_000)
    await line.clock.advance_us(S)
    text = line.metrics.encode().decode()
    assert 'omniweave_call_packets_total{fate="received"} 50.0' in text
    assert 'omniweave_call_packets_total{fate="lost"} 1.0' in text
    assert "omniweave_call_concealed_seconds_total 0.02" in text
