"""Calls over real UDP: a client played by aiortc against a server with an EchoEngine."""

import asyncio
import gc
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCSctpTransport
from websockets.asyncio.client import connect

from realtime.auth import KeyRing
from realtime.limits import Limits
from realtime.recording.recorder import read_recording
from realtime.rtc_config import PortRange, RtcConfig
from realtime.session.session import Session
from realtime.transports.webrtc.call import Call
from realtime.transports.webrtc.camera import Camera
from realtime.transports.webrtc.microphone import Microphone
from realtime.transports.webrtc.peer import Peer
from realtime.transports.webrtc.receivers import SoundTap
from realtime.transports.webrtc.speaker import SpeakerTrack
from scripts.live_media import voiced_signal
from streams.clock import SystemClock
from streams.types import SAMPLES_PER_TICK, TickWindow
from streams.video import decode_data_url, decode_image
from tests.realtime.transports.rtc_client import CALLS, RtcClient, rtc_client
from tests.realtime.transports.sounds import tone
from tests.realtime.wire import echo_server

CUT_US = 5_000_000
KEY = "sk-calls"
AS_KEY = {"Authorization": f"Bearer {KEY}"}
SDP = {"Content-Type": "application/sdp"}
NO_DETECTION = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server())


@pytest.fixture(scope="module")
def keyed_server(start_server: Callable[..., Any]) -> Any:
    return start_server(echo_server(keys=KeyRing([KEY, "sk-other"])))


@pytest.fixture
async def client(server: Any) -> AsyncIterator[RtcClient]:
    async with rtc_client(server.address) as client:
        yield client


async def metric(address: str, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{address}/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


# --- connecting -----------------------------------------------------------------------------------------------------


async def test_an_offer_without_candidates_connects_and_is_greeted(client: RtcClient):
    await client.call()
    assert client.call_id.startswith("rtc_")
    assert client.strict.types == ["session.created"]


async def test_the_session_can_be_configured(client: RtcClient):
    await client.call()
    await client.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
    updated = await client.receive_until("session.updated")
    assert updated["session"]["instructions"] == "Be brief."


@pytest.mark.parametrize("typed", [True, False])
async def test_a_form_brings_offer_and_session(client: RtcClient, typed: bool):
    session = json.dumps({"type": "realtime", "instructions": "From the form."})
    kinds = ("application/sdp", "application/json") if typed else (None, None)
    sdp = await client.offer()
    form = {"sdp": (None, sdp, kinds[0]), "session": (None, session, kinds[1])}
    await client.accept(await client.post("", files=form))
    created = await client.receive_until("session.created")
    assert created["session"]["instructions"] == "From the form."


async def test_a_client_secret_opens_a_call_with_its_session(keyed_server: Any):
    async with httpx.AsyncClient(base_url=f"http://{keyed_server.address}", headers=AS_KEY) as http:
        body = {"session": {"type": "realtime", "instructions": "From the secret."}}
        secret = (await http.post("/v1/realtime/client_secrets", json=body)).json()["value"]
    async with rtc_client(keyed_server.address, headers={"Authorization": f"Bearer {secret}"}) as client:
        await client.call("")
        assert client.strict.events[0]["session"]["instructions"] == "From the secret."


async def test_callers_without_a_key_are_refused(keyed_server: Any):
    async with rtc_client(keyed_server.address) as client:
        response = await client.post(content=await client.offer(), headers=SDP)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


async def test_a_page_may_read_where_its_call_is(server: Any):
    origin = "http://localhost:3000"
    async with httpx.AsyncClient(base_url=f"http://{server.address}") as http:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
        }
        preflight = await http.options(CALLS, headers=asked)
        refused = await http.post(CALLS, content="v=0", headers={"Origin": origin, **SDP})
    assert preflight.status_code == 200
    assert "x-openai-agents-sdk" in preflight.headers["access-control-allow-headers"].lower()
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "Location" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        ("hello", "must be SDP"),
        ("v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n", "cannot be answered"),
        ("v=0\r\nm=audio\r\na=mid:0\r\n", "cannot be answered"),
    ],
)
async def test_a_bad_offer_is_refused_in_words_and_leaves_nothing_behind(server: Any, sdp: str, why: str):
    before = await metric(server.address, "omniweave_sessions")
    async with httpx.AsyncClient(base_url=f"http://{server.address}") as http:
        response = await http.post(CALLS, content=sdp, headers=SDP)
    assert response.status_code == 400
    assert why in response.json()["error"]["message"]
    assert await metric(server.address, "omniweave_sessions") == before


async def test_an_offer_without_opus_is_refused(client: RtcClient):
    sdp = (await client.offer()).replace("opus/48000/2", "speex/16000")
    response = await client.post(content=sdp, headers=SDP)
    assert response.status_code == 400


async def test_a_call_takes_its_ports_from_the_range(start_server: Callable[..., Any]):
    ports = PortRange(52_340, 52_347)
    server = start_server(echo_server(rtc=RtcConfig(ports=ports, addresses=("203.0.113.9",))))
    async with rtc_client(server.address) as client:
        response = await client.post(content=await client.offer(), headers=SDP)
    candidates = [line.split() for line in response.text.splitlines() if line.startswith("a=candidate")]
    assert any(fields[4] == "203.0.113.9" for fields in candidates)
    assert all(ports.first <= int(fields[5]) <= ports.last for fields in candidates)


# --- sound ----------------------------------------------------------------------------------------------------------


async def test_what_is_said_comes_back_and_the_buffer_events_frame_it(client: RtcClient):
    await client.call()
    client.voice.say(tone(440, 600))
    await client.wait_for_sound(440)
    await client.receive_until("output_audio_buffer.stopped")
    await client.wait_for_silence()
    kinds = [kind for kind in client.strict.types if kind != "session.created"]
    expected = [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "output_audio_buffer.started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "output_audio_buffer.stopped",
    ]
    assert kinds == expected
    assert sum(np.abs(client.heard) > 0.05) == pytest.approx(0.6 * 24_000 * 0.9, rel=0.25)


async def test_packets_come_every_20_ms_also_in_silence(client: RtcClient):
    await client.call()
    client.voice.say(tone(440, 300))
    await client.receive_until("output_audio_buffer.stopped")
    duration_us = client.heard_at_us[-1] - client.heard_at_us[0]
    assert (len(client.heard_at_us) - 1) * 20_000 == pytest.approx(duration_us, abs=200_000)


async def test_typed_text_is_answered_in_text(client: RtcClient):
    await client.call()
    await client.send("session.update", session={**NO_DETECTION, "output_modalities": ["text"]})
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "good morning"}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")
    done = await client.receive_until("response.done")
    assert done["response"]["output"][0]["content"][0]["text"] == "You said: good morning"


async def test_a_client_can_cut_what_is_playing(client: RtcClient):
    await client.call()
    client.voice.say(tone(440, 4_000))
    await client.wait_for_sound(440)
    client.voice.hush()
    await client.send("response.cancel")
    await client.send("output_audio_buffer.clear")
    cleared = await client.receive_until("output_audio_buffer.cleared")
    truncated = await client.receive_until("conversation.item.truncated")
    await client.wait_for_silence()
    started = client.strict.last("output_audio_buffer.started")
    assert cleared["response_id"] == started["response_id"]
    assert truncated["item_id"] == client.strict.last("response.output_item.added")["item"]["id"]
    assert 20 <= truncated["audio_end_ms"] <= 1_500
    assert "output_audio_buffer.stopped" not in client.strict.types


async def test_somebody_who_begins_to_speak_cuts_what_is_playing(client: RtcClient):
    await client.call()
    client.voice.say(tone(440, 3_000))
    await client.wait_for_sound(440)
    client.voice.hush()
    client.voice.say(voiced_signal(1.5))
    await client.receive_until("input_audio_buffer.speech_started")
    await client.receive_until("conversation.item.truncated")
    kinds = client.strict.types
    assert kinds.index("input_audio_buffer.speech_started") < kinds.index("output_audio_buffer.cleared")
    assert kinds.index("output_audio_buffer.cleared") < kinds.index("conversation.item.truncated")


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_what_the_camera_sees_is_drawn_again(client: RtcClient, codec: str):
    red = np.zeros((240, 320, 3), np.uint8)
    red[..., 0] = 220
    await client.call(camera=red, codec=codec)
    extended = {**NO_DETECTION, "omniweave": {"outputs": ["text", "image"], "video": True}}
    await client.send("session.update", session=extended)
    await client.receive_until("session.updated")
    while "omniweave.image.done" not in client.strict.types:  # the first answers may come before the first frame
        await client.send("response.create")
        await client.receive_until("response.done")
    picture = client.strict.last("omniweave.image.done")
    rgb = decode_image(decode_data_url(picture["image_url"], 1 << 20))
    assert rgb[..., 0].mean() > 150
    assert rgb[..., 1:].mean() < 80


# --- the end, and going on ------------------------------------------------------------------------------------------


async def test_hanging_up_ends_the_call(client: RtcClient):
    await client.call()
    assert (await client.hang_up()).status_code == 200
    async with asyncio.timeout(20):
        await client.is_closed.wait()
    again = await client.hang_up()
    assert again.status_code == 404
    assert again.json()["error"]["code"] == "not_found"


async def test_a_client_that_closes_ends_its_session(server: Any):
    async with rtc_client(server.address) as client:
        await client.call()
        follower = connect(f"ws://{server.address}/v1/realtime?call_id={client.call_id}")
        async with follower as websocket:
            assert json.loads(await websocket.recv())["type"] == "session.created"
            await client.peer.close()
            await asyncio.wait_for(websocket.wait_closed(), 20)
        assert (await client.hang_up()).status_code == 404


async def test_a_silent_client_is_given_up_after_the_grace(start_server: Callable[..., Any]):
    server = start_server(echo_server(rtc=RtcConfig(grace_s=0.6)))
    async with rtc_client(server.address) as client:
        await client.call()
        async with connect(f"ws://{server.address}/v1/realtime?call_id={client.call_id}") as websocket:
            client.cut()
            await asyncio.wait_for(websocket.wait_closed(), 20)


async def test_a_network_that_is_cut_for_five_seconds_finds_the_same_call_and_no_tick_missing(
    start_server: Callable[..., Any], tmp_path: Path
):
    server = start_server(echo_server(record_dir=tmp_path))
    async with rtc_client(server.address) as client:
        await client.call()
        client.voice.say(tone(440, 300))
        await client.receive_until("output_audio_buffer.stopped")
        client.cut()
        ticks = 'omniweave_ticks_total{kind="live"}'
        since_us, before = SystemClock().now_us(), await metric(server.address, ticks)
        while SystemClock().now_us() < since_us + CUT_US:
            await SystemClock().sleep_until_us(SystemClock().now_us() + 50_000)
        num_cut = int(await metric(server.address, ticks) - before)
        client.mend()
        client.voice.say(tone(660, 400))
        await client.wait_for_sound(660)
        await client.receive_until("output_audio_buffer.stopped")
        assert client.strict.types.count("session.created") == 1
        assert (await client.hang_up()).status_code == 200
        await client.is_closed.wait()
    server.close()
    windows = windows_in(tmp_path)
    assert [window.tick for window in windows] == list(range(len(windows)))
    in_vain = [window for window in windows if window.audio is not None and window.gap_samples == SAMPLES_PER_TICK]
    assert len(in_vain) >= num_cut - 1 > 0, "the ticks of the cut are there, as gaps; the first may hold some sound"


async def test_a_call_goes_on_over_a_new_connection_and_no_event_is_lost(
    start_server: Callable[..., Any], tmp_path: Path
):
    server = start_server(echo_server(record_dir=tmp_path))
    async with rtc_client(server.address) as first:
        await first.call()
        await first.send("session.update", session={**NO_DETECTION, "output_modalities": ["text"]})
        await first.receive_until("session.updated")
        first.cut()
        websocket = await connect(f"ws://{server.address}/v1/realtime?call_id={first.call_id}")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "still there"}]}
        await websocket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await websocket.send(json.dumps({"type": "response.create"}))
        while json.loads(await websocket.recv())["type"] != "response.done":
            pass  # meanwhile the first client is sent all this, and receives nothing
        assert "response.created" not in first.strict.types
        async with rtc_client(server.address) as second:
            await second.call(f"?resume={first.call_id}")
            assert second.call_id == first.call_id
            session = second.strict.events[0]["session"]
            assert session["id"] == first.strict.events[0]["session"]["id"]
            done = await second.receive_until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "You said: still there"
            second.voice.say(tone(660, 400))
            speaking = {"output_modalities": ["audio"], "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
            await second.send("session.update", session={"type": "realtime", **speaking})
            await second.wait_for_sound(660)
        await websocket.close()
    server.close()
    ticks = [window.tick for window in windows_in(tmp_path)]
    assert ticks == list(range(len(ticks)))


def windows_in(folder: Path) -> list[TickWindow]:
    (path,) = folder.glob("*.mcap")
    return list(read_recording(path).windows())


async def test_only_its_own_key_resumes_follows_or_ends_a_call(keyed_server: Any):
    async with rtc_client(keyed_server.address, headers=AS_KEY) as client:
        await client.call()
        other = {"Authorization": "Bearer sk-other"}
        async with rtc_client(keyed_server.address, headers=other) as stranger:
            resumed = await stranger.post(f"?resume={client.call_id}", content=await stranger.offer(), headers=SDP)
            assert resumed.status_code == 404
            assert (await stranger.hang_up(client.call_id)).status_code == 404
        assert (await client.hang_up()).status_code == 200


async def test_a_follower_sees_events_and_may_send_some(client: RtcClient, server: Any):
    await client.call()
    async with connect(f"ws://{server.address}/v1/realtime?call_id={client.call_id}") as websocket:
        assert json.loads(await websocket.recv())["type"] == "session.created"
        await websocket.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "Hm."}})
        )
        assert json.loads(await websocket.recv())["session"]["instructions"] == "Hm."
        assert (await client.receive_until("session.updated"))["session"]["instructions"] == "Hm."
    await client.send("session.update", session={"type": "realtime", "instructions": "Still on."})
    assert (await client.receive_until("session.updated"))["session"]["instructions"] == "Still on."


async def test_calls_count_against_the_limits(start_server: Callable[..., Any]):
    limits = replace(Limits(), max_sessions_per_key=1)
    server = start_server(echo_server(limits))
    async with rtc_client(server.address) as client, rtc_client(server.address) as another:
        await client.call()
        refused = await another.post(content=await another.offer(), headers=SDP)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "too_many_sessions"


async def test_a_server_that_stops_closes_its_calls(start_server: Callable[..., Any]):
    server = start_server(echo_server())
    async with rtc_client(server.address) as client:
        await client.call()
        await asyncio.to_thread(server.close)
        async with asyncio.timeout(20):
            await client.is_closed.wait()


def alive(*kinds: type) -> list[object]:
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]


async def test_many_calls_leave_nothing_behind(start_server: Callable[..., Any]):
    server = start_server(echo_server())
    gc.collect()
    ours = (Call, Session, Microphone, Peer, Camera, SpeakerTrack, SoundTap)
    theirs = (RTCPeerConnection, RTCRtpReceiver, RTCSctpTransport, RTCDtlsTransport, RTCIceTransport)
    before = alive(*ours, *theirs)
    gc.disable()  # what a call is made of must not wait for the collector
    try:
        for number in range(20):
            async with rtc_client(server.address) as client:
                await client.call(camera=np.zeros((64, 64, 3), np.uint8) if number == 5 else None)
                client.voice.say(tone(440, 100))
                await client.wait_for_silence()
                if number % 2:
                    assert (await client.hang_up()).status_code == 200
            while await metric(server.address, "omniweave_calls"):
                pass  # it is ending
        del client
        assert Counter(map(type, alive(*ours, *theirs))) == Counter(map(type, before))
    finally:
        gc.enable()
    assert await metric(server.address, "omniweave_sessions") == 0
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("-decoder")]
