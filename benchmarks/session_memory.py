"""What a session leaves behind: the server's memory while sessions come and go.

    python -m benchmarks.session_memory --sessions 100

Starts a server with the echo engine in a process of its own, on loopback. Each session pushes some seconds of noise as
fast as it may, commits them, types a question, reads the spoken and written answer, and leaves. The resident memory is
read where no session is open. What all sessions have in common is loaded, and the heap is as large as those at the same
time need it, somewhere in the first half; so `bytes_per_session` counts from the second half only. The last line is one
JSON object.
"""

import argparse
import asyncio
import base64
import gc
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from realtime.config import EngineConfig, EngineKind, ServerConfig
from realtime.echo import EchoEngine
from realtime.limits import Limits
from realtime.server import build_server
from streams.types import SAMPLE_RATE_HZ

WARM_SESSIONS = 10
PIECE_MS = 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SETTLE_S = 0.5  # for connections to be taken down after the client saw them end


def main() -> None:
    arguments = parser().parse_args()
    spawn = multiprocessing.get_context("spawn")  # a fresh process: nothing of the client is in its memory
    here, there = spawn.Pipe()
    server = spawn.Process(
        target=serve, args=(there, arguments.at_once, arguments.without_gc, arguments.record), daemon=True
    )
    server.start()
    try:
        assert server.pid is not None
        asyncio.run(measure(f"ws://127.0.0.1:{here.recv()}/v1/realtime", server.pid, arguments))
    finally:
        server.terminate()
        server.join()


def serve(pipe: Connection, max_sessions: int, without_gc: bool, record_dir: Path | None) -> None:
    """The server's process."""
    if without_gc:
        gc.disable()
    listener = socket.create_server(("127.0.0.1", 0))
    limits = replace(Limits(), connects_per_min=1e6, connect_burst=100_000)  # a client's hurry is not what is measured
    engine = EchoEngine(max_sessions=max_sessions)
    config = ServerConfig(
        EngineConfig(EngineKind.ECHO, max_sessions=max_sessions), limits=limits, record_dir=record_dir
    )
    pipe.send(listener.getsockname()[1])
    build_server(config, engine).run(sockets=[listener])


async def measure(url: str, pid: int, arguments: argparse.Namespace) -> None:
    marks = sorted({WARM_SESSIONS, arguments.sessions // 2, arguments.sessions})
    pieces = noise(arguments.audio_s)
    started = time.monotonic()
    rss: dict[int, int] = {}
    done = 0
    print(f"{'sessions':>8}{'MiB':>10}{'bytes per session since the last line':>42}")
    for mark in marks:
        while done < mark:
            count = min(arguments.at_once, mark - done)
            await asyncio.gather(*(talk(url, pieces) for _ in range(count)))
            done += count
        await asyncio.sleep(SETTLE_S)
        rss[mark] = resident_bytes(pid)
        growth = (rss[mark] - rss[before]) / (mark - before) if (before := previous(marks, mark)) else None
        print(f"{mark:>8}{rss[mark] / 2**20:>10.1f}{'' if growth is None else f'{growth:>42,.0f}'}", flush=True)
    middle, last = marks[-2], marks[-1]
    result = {
        "sessions": last,
        "audio_s": arguments.audio_s,
        "seconds": round(time.monotonic() - started, 1),
        "rss_bytes": {str(mark): rss[mark] for mark in marks},
        "bytes_per_session": round((rss[last] - rss[middle]) / (last - middle)),
    }
    print(json.dumps(result))


def previous(marks: Sequence[int], mark: int) -> int | None:
    index = marks.index(mark)
    return marks[index - 1] if index else None


def noise(seconds: float) -> list[str]:
    """Sound in base64, in the pieces in which a client sends it."""
    random = np.random.default_rng(0)
    samples = random.integers(-3_000, 3_000, int(seconds * SAMPLE_RATE_HZ)).astype("<i2")
    step = SAMPLE_RATE_HZ * PIECE_MS // 1000
    return [base64.b64encode(samples[start : start + step]).decode() for start in range(0, len(samples), step)]


async def talk(url: str, pieces: Sequence[str]) -> None:
    """One session, from greeting to leaving."""
    async with connect(url, max_size=None) as connection:
        detection = {"type": "server_vad", "create_response": False}  # listened for, but answered only when asked
        await send(connection, "session.update", session={"audio": {"input": {"turn_detection": detection}}})
        for piece in pieces:
            await send(connection, "input_audio_buffer.append", audio=piece)
        await send(connection, "input_audio_buffer.commit")
        content = [{"type": "input_text", "text": "What does a session leave behind?"}]
        item = {"type": "message", "role": "user", "content": content}
        await send(connection, "conversation.item.create", item=item)
        await send(connection, "response.create")
        async for frame in connection:
            event = json.loads(frame)
            if event["type"] == "error":
                raise RuntimeError(event["error"]["message"])
            if event["type"] == "response.done":
                return


async def send(connection: ClientConnection, kind: str, **fields: object) -> None:
    await connection.send(json.dumps({"type": kind, **fields}))


def resident_bytes(pid: int) -> int:
    """Of the process `pid`: the second number of its `statm`, in pages (man 5 proc)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--sessions", type=int, default=100, help="how many come and go")
    result.add_argument("--at-once", type=int, default=5, help="of them at the same time")
    result.add_argument("--audio-s", type=float, default=3.0, help="seconds of sound that each pushes")
    result.add_argument("--record", type=Path, metavar="DIR", help="have the server record into DIR")
    result.add_argument("--without-gc", action="store_true", help="switch the server's cycle collector off")
    return result


if __name__ == "__main__":
    main()
