"""How long a call takes beyond the ticks: sound in → EchoEngine → sound out, over WebRTC on loopback.

    python -m benchmarks.webrtc_latency --trials 40 --connects 100

    python -m benchmarks.webrtc_latency --minutes 5 --loss 0.01 --jitter-ms 50 --connects 0

Runs a server in a process of its own. A tone is said at a random moment of a tick; EchoEngine plays the sound of a tick
back when the tick is over, so that a sample comes back a tick (250 ms) after it was said. `over` is the delay beyond
that: Opus both ways, packets, and the queue that bridges late ticks; no jitter buffer of a browser, whose smallest is
some 20 ms. `cut` is from sending `output_audio_buffer.clear` to the last packet with sound. `--loss` and `--jitter-ms`
put a network in between, of which `over` holds the jitter of both ways. `growth` compares the last third of the tones
with the first, each by its fastest fifth: a machine that stands still delays what follows for up to 20 s. With
`--connects`, calls are opened and hung up one after the other, and the server's memory is read. The last line is one
JSON object.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.lossy_network import Weather
from benchmarks.webrtc_client import calling, tone
from realtime.config import EngineConfig, EngineKind, ServerConfig
from realtime.echo import EchoEngine
from realtime.limits import Limits
from realtime.server import build_server
from scripts.live_server import resident_mib

TICK_MS = 250
TONE_MS = 200
PAUSE_S = 1.4  # for an answer to end: half a second of ticks without sound, and what still plays
WARM_UP_CONNECTS = 20  # codecs, certificates and thread stacks that are allocated once
CONNECTS_PER_SAMPLE = 10


def main() -> None:
    arguments = parser().parse_args()
    weather = Weather(arguments.loss, arguments.jitter_ms)
    with echo_server() as (url, pid):
        ends_s = time.monotonic() + arguments.minutes * 60
        delays_ms, cuts_ms = asyncio.run(measure_delays(url, arguments.trials, ends_s, weather))
        memory_mib = asyncio.run(measure_memory(url, pid, arguments.connects))
    report(np.array(delays_ms), np.array(cuts_ms), memory_mib)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="benchmarks.webrtc_latency", description="Delay and memory of WebRTC calls.")
    result.add_argument("--trials", type=int, default=40, help="tones said (default: %(default)s)")
    result.add_argument("--minutes", type=float, default=0, help="go on for as long (default: until all are said)")
    result.add_argument("--loss", type=float, default=0, help="share of datagrams lost each way (default: %(default)s)")
    result.add_argument("--jitter-ms", type=float, default=0, help="random delay each way (default: %(default)s)")
    result.add_argument("--connects", type=int, default=100, help="calls opened and closed (default: %(default)s)")
    return result


@contextmanager
def echo_server() -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its URL and its process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}", process.pid or 0
    finally:
        process.terminate()
        process.join()


def serve(pipe: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    limits = replace(Limits(), connects_per_min=1e6, connect_burst=100_000)  # a client's hurry is not what is measured
    config = ServerConfig(EngineConfig(EngineKind.ECHO), limits=limits)
    pipe.send(listener.getsockname()[1])
    build_server(config, EchoEngine()).run(sockets=[listener])


async def measure_delays(url: str, trials: int, ends_s: float, weather: Weather) -> tuple[list[float], list[float]]:
    """At least so many trials, and until `ends_s`."""
    delays_ms: list[float] = []
    cuts_ms: list[float] = []
    async with calling(url, weather) as client:
        while (trial := len(delays_ms)) < trials or time.monotonic() < ends_s:
            await asyncio.sleep(random.random() * TICK_MS / 1000)
            client.say(tone(440, TONE_MS))
            heard_s = await client.onset_s()
            delays_ms.append((heard_s - client.said_at_s) * 1000)
            if trial % 4 == 3:
                client.send("response.cancel")
                client.send("output_audio_buffer.clear")
                sent_s = time.monotonic()
                cuts_ms.append(max((await client.end_s() - sent_s) * 1000, 0.0))
            await asyncio.sleep(PAUSE_S)
            while not client.packets.empty():
                client.packets.get_nowait()
    return delays_ms, cuts_ms


async def measure_memory(url: str, pid: int, connects: int) -> list[float]:
    """The server's resident memory in MiB: after warming up, then after every few calls."""
    samples: list[float] = []
    for number in range(WARM_UP_CONNECTS + connects if connects else 0):
        async with calling(url) as client:
            client.say(tone(440, TONE_MS))
            await client.packets.get()
            await client.hang_up()
        if number + 1 >= WARM_UP_CONNECTS and (number + 1 - WARM_UP_CONNECTS) % CONNECTS_PER_SAMPLE == 0:
            samples.append(resident_mib(pid) or 0.0)
    return samples


def report(delays_ms: np.ndarray, cuts_ms: np.ndarray, memory_mib: list[float]) -> None:
    over_ms = delays_ms - TICK_MS
    print(f"{len(delays_ms)} tones            median     p95     max")
    for name, values in (("said → heard, ms", delays_ms), ("over the tick, ms", over_ms), ("cut, ms", cuts_ms)):
        if len(values):
            print(f"{name:<20}{np.median(values):>9.1f}{np.percentile(values, 95):>8.1f}{values.max():>8.1f}")
    facts: dict[str, float] = {}
    for name, values in (("delay", delays_ms), ("over", over_ms), ("cut", cuts_ms)):
        if len(values):
            facts[f"{name}_p50_ms"] = round(float(np.median(values)), 1)
            facts[f"{name}_p95_ms"] = round(float(np.percentile(values, 95)), 1)
    third = len(over_ms) // 3
    if third:
        growth_ms = float(np.percentile(over_ms[-third:], 20) - np.percentile(over_ms[:third], 20))
        print(f"growth, ms          {growth_ms:>9.1f}")
        facts["growth_ms"] = round(growth_ms, 1)
    if memory_mib:
        print("server memory, MiB  " + " ".join(f"{mib:.1f}" for mib in memory_mib))
        slope = np.polyfit(np.arange(len(memory_mib)), memory_mib, 1)[0] if len(memory_mib) > 1 else 0.0
        facts["memory_first_mib"] = round(memory_mib[0], 1)
        facts["memory_last_mib"] = round(memory_mib[-1], 1)
        facts["memory_kib_per_connect"] = round(float(slope) / CONNECTS_PER_SAMPLE * 1024, 2)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
