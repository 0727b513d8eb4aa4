"""The terminal chat against a scripted fake server: what it prints, sends and returns."""

import asyncio
import base64
import json
import os
import signal
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from omniweave_client.chat import run
from omniweave_client.console import TypedLines
from omniweave_client.options import parse_options
from omniweave_client.wav import read_wav

JPEG = b"\xff\xd8\xff\xe0 not a whole picture"


@pytest.fixture
def type_lines(monkeypatch):
    """Puts text where the chat reads what is typed, as a pipe that then ends."""
    opened = []

    def type_text(text: str) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, text.encode())
        os.close(write_end)
        opened.append(os.fdopen(read_end))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    type_text("")
    yield type_text
    for file in opened:
        file.close()


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


async def echo(peer) -> None:
    await peer.greet()
    with pytest.raises(ConnectionClosed):
        await peer.answer_every_question()


async def chat(*arguments: str) -> int:
    return await run(parse_options([*arguments], environment={}), sleep=no_wait)


async def test_piped_lines_are_asked_in_turn_and_only_answers_go_to_standard_output(fake, type_lines, capsys) -> None:
    url = await fake.start(echo)
    type_lines("one\n\n  two  \n/help\nthree")
    assert await chat(url) == 0
    printed = capsys.readouterr()
    assert printed.out == "You said: one\nYou said: two\nYou said: three\n"
    assert printed.err.count("first token") == 3
    assert "3 tokens" in printed.err
    assert "/cancel   stop" in printed.err


async def test_say_asks_once_and_leaves(fake, capsys, type_lines) -> None:
    url = await fake.start(echo)
    type_lines("never read\n")
    assert await chat(url, "--say", "hello") == 0
    assert capsys.readouterr().out == "You said: hello\n"


async def test_a_refused_question_is_shown_and_makes_the_status_1_but_the_chat_goes_on(
    fake, type_lines, capsys
) -> None:
    async def script(peer) -> None:
        await peer.greet()
        request = await peer.receive("response.create")
        await peer.send("error", error={"message": "no", "code": "busy", "event_id": request["event_id"]})
        with pytest.raises(ConnectionClosed):
            await peer.answer_every_question()

    url = await fake.start(script)
    type_lines("first\nsecond\n")
    assert await chat(url) == 1
    printed = capsys.readouterr()
    assert printed.out == "You said: second\n"
    assert printed.err.count("[error: no (busy)]") == 1


async def test_a_lost_connection_is_said_once_and_ends_the_chat(fake, type_lines, capsys) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.receive("response.create")
        await peer.connection.close(1011, "the engine died")

    url = await fake.start(script)
    type_lines("hello\n")
    assert await chat(url) == 1
    assert capsys.readouterr().err.count("the engine died") == 1


async def test_no_server_is_said_in_words(capsys, type_lines) -> None:
    assert await chat("ws://127.0.0.1:1/v1/realtime") == 1
    assert "nothing listens at" in capsys.readouterr().err


async def test_cancel_quit_and_unknown_commands(fake, type_lines, capsys) -> None:
    url = await fake.start(echo)
    type_lines("/cancel\n/dance\n/quit\nnever asked\n")
    assert await chat(url) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no answer is running" in printed.err
    assert "unknown command /dance" in printed.err


async def test_a_wav_file_is_streamed_to_its_end_with_frames_beside_it(fake, tmp_path: Path, type_lines) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.full((48_000, 2), 8_192, "<i2").tobytes())
    (tmp_path / "1.jpg").write_bytes(JPEG)
    peers = []

    async def script(peer) -> None:
        peers.append(peer)
        await peer.greet()
        while True:
            await peer.receive()

    url = await fake.start(script)
    log = tmp_path / "log.jsonl"
    status = await chat(url, "--wav", str(tmp_path / "a.wav"), "--frames", str(tmp_path), "--record-events", str(log))
    assert status == 0
    events = peers[0].received
    assert events[0]["session"]["omniweave"]["video"] is True
    sound = b"".join(base64.b64decode(e["audio"]) for e in events if e["type"] == "input_audio_buffer.append")
    assert len(sound) == 2 * 48_000  # one second of the file, one of silence
    frames = [event for event in events if event["type"] == "omniweave.video.append"]
    assert base64.b64decode(frames[0]["image"]) == JPEG
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"]["type"] for line in sent if line["direction"] == "sent"] == [e["type"] for e in events]


async def test_spoken_answers_and_pictures_are_saved(fake, tmp_path: Path, type_lines, capsys) -> None:
    pcm = np.arange(-4_000, 4_000).astype("<i2").tobytes()

    async def script(peer) -> None:
        await peer.greet()
        request = await peer.receive("response.create")
        await peer.start_response("resp_1", request)
        await peer.send("response.output_audio_transcript.delta", response_id="resp_1", delta="Look.")
        for half in (pcm[:8_000], pcm[8_000:]):
            delta = base64.b64encode(half).decode()
            await peer.send("response.output_audio.delta", response_id="resp_1", delta=delta)
        url = "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
        await peer.send("omniweave.image.done", response_id="resp_1", image_url=url, width=64, height=32)
        await peer.end_response("resp_1")
        with pytest.raises(ConnectionClosed):
            await peer.receive()

    url = await fake.start(script)
    out, pictures = tmp_path / "out.wav", tmp_path / "pictures"
    assert await chat(url, "--say", "draw", "--save-audio", str(out), "--save-images", str(pictures)) == 0
    assert capsys.readouterr().out == "Look.\n"
    np.testing.assert_array_equal(read_wav(out), np.arange(-4_000, 4_000) / np.float32(32_768))
    assert (pictures / "image_001.jpg").read_bytes() == JPEG


@pytest.mark.parametrize("flag", ["--mic", "--speaker", "--camera"])
async def test_a_missing_device_is_known_before_connecting(flag: str, capsys, monkeypatch, type_lines) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert await chat("ws://127.0.0.1:1/v1/realtime", flag) == 1
    printed = capsys.readouterr().err
    assert "pip install 'omniweave-client[devices]'" in printed
    assert "nothing listens" not in printed


async def test_lines_are_put_together_from_pieces_and_split_characters(monkeypatch) -> None:
    read_end, write_end = os.pipe()
    lines = TypedLines(read_end)
    os.write(write_end, "caf\u00e9 one\ntw".encode()[:4])
    pending = asyncio.create_task(anext(lines))
    await asyncio.sleep(0)
    os.write(write_end, "caf\u00e9 one\ntw".encode()[4:])
    assert await pending == "caf\u00e9 one"
    os.write(write_end, b"o")
    os.close(write_end)
    assert await anext(lines) == "two"
    with pytest.raises(StopAsyncIteration):
        await anext(lines)
    os.close(read_end)


async def test_ctrl_c_closes_the_session_normally(fake) -> None:
    code = asyncio.get_running_loop().create_future()
    greeted = asyncio.Event()

    async def script(peer) -> None:
        await peer.greet()
        greeted.set()
        with pytest.raises(ConnectionClosed):
            await peer.receive()
        code.set_result(peer.connection.close_code)

    url = await fake.start(script)
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from omniweave_client.chat import main; sys.exit(main([{url!r}]))"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe, stderr=pipe)
    await greeted.wait()
    process.send_signal(signal.SIGINT)
    output = b"".join(await process.communicate())
    assert process.returncode == 130
    assert b"Traceback" not in output
    assert await code == 1000
