"""The examples, each as a program of its own against a scripted fake server."""

import asyncio
import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

EXAMPLES = Path(__file__).parents[1] / "examples"


async def run_example(name: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def echo(peer) -> None:
    await peer.greet()
    with pytest.raises(ConnectionClosed):
        await peer.answer_every_question()


async def test_hello_prints_the_answer_and_is_short(fake) -> None:
    url = await fake.start(echo)
    assert await run_example("hello.py", url) == "You said: In one sentence: why is the sky blue?"
    assert len((EXAMPLES / "hello.py").read_text().splitlines()) <= 20


async def test_voice_file_is_answered_while_it_speaks(fake, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.zeros(1_600, "<i2").tobytes())
    url = await fake.start(echo)
    out = await run_example("voice_file.py", str(tmp_path / "a.wav"), url)
    assert out == "Still speaking; the answer is: You said: Which planet is the largest?\n"


async def test_tool_call_runs_the_function_and_shows_the_models_answer(fake) -> None:
    async def script(peer) -> None:
        await peer.greet()
        await peer.start_response("resp_1", await peer.receive("response.create"))
        await peer.send(
            "response.function_call_arguments.done",
            response_id="resp_1",
            call_id="call_1",
            name="temperature",
            arguments='{"city": "Oslo"}',
        )
        await peer.end_response("resp_1")
        output = (await peer.receive("conversation.item.create"))["item"]
        assert (output["call_id"], output["output"]) == ("call_1", '{"celsius": -3}')
        await peer.start_response("resp_2", await peer.receive("response.create"))
        await peer.write("resp_2", "It is cold.")
        await peer.end_response("resp_2")
        with pytest.raises(ConnectionClosed):
            await peer.receive()

    url = await fake.start(script)
    assert await run_example("tool_call.py", url) == '[temperature({"city": "Oslo"})]\nIt is cold.'


def test_every_example_compiles() -> None:
    for path in EXAMPLES.glob("*.py"):
        compile(path.read_text(), str(path), "exec")
