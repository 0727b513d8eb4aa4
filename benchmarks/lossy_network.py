"""A network between a client and a server that loses and delays datagrams, each by itself, both ways.

`detour` rewrites the answer to an offer so that the only way to the server leads through here. Datagrams may overtake
each other, as they do where every one is delayed by its own time.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from typing import Final

Address = tuple[str, int]
CANDIDATE: Final = re.compile(
    r"^a=candidate:\S+ 1 udp \d+ (\d+(?:\.\d+){3}) (\d+) typ host", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Weather:
    """`loss`: the share of datagrams that vanish; `jitter_ms`: the others are late by anything up to this."""

    loss: float
    jitter_ms: float

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1 or self.jitter_ms < 0:
            raise ValueError(f"loss lies in [0, 1) and jitter is not negative: {self.loss}, {self.jitter_ms} ms")

    @property
    def is_fair(self) -> bool:
        return not self.loss and not self.jitter_ms


class _Side(asyncio.DatagramProtocol):
    """One socket of the relay: what it receives leaves by the other side, late or never."""

    transport: asyncio.DatagramTransport

    def __init__(self, network: "LossyNetwork") -> None:
        self._network = network
        self.other: _Side | None = None
        self.peer: Address | None = None  # to whom this side sends

    def datagram_received(self, data: bytes, address: Address) -> None:
        self.peer = self.peer or address
        assert self.other is not None, "both sides are there before anybody is told of them"
        self._network.carry(data, self.other)

    def send(self, data: bytes) -> None:
        if self.peer is not None and not self.transport.is_closing():
            self.transport.sendto(data, self.peer)


class LossyNetwork:
    def __init__(self, weather: Weather, seed: int = 0) -> None:
        self._weather = weather
        self._rng = random.Random(seed)
        self._sides: list[_Side] = []
        self.num_carried = 0
        self.num_lost = 0

    async def detour(self, sdp: str) -> str:
        """The answer, with one candidate only: a relay to the first of the server's own."""
        found = CANDIDATE.search(sdp)
        if found is None:
            raise ValueError(f"the answer has no host candidate:\n{sdp}")
        host, port = found[1], int(found[2])
        front, back = await self._open(host), await self._open(host)
        front.other, back.other, back.peer = back, front, (host, port)
        relay_port = front.transport.get_extra_info("sockname")[1]
        lines = [line for line in sdp.split("\r\n") if not line.startswith("a=candidate") or f" {host} {port} " in line]
        return "\r\n".join(lines).replace(f" {host} {port} typ", f" {host} {relay_port} typ")

    def carry(self, data: bytes, side: _Side) -> None:
        if self._rng.random() < self._weather.loss:
            self.num_lost += 1
            return
        self.num_carried += 1
        asyncio.get_running_loop().call_later(self._rng.random() * self._weather.jitter_ms / 1000, side.send, data)

    def close(self) -> None:
        for side in self._sides:
            side.transport.close()

    async def _open(self, host: str) -> _Side:
        loop = asyncio.get_running_loop()
        transport, side = await loop.create_datagram_endpoint(lambda: _Side(self), local_addr=(host, 0))
        side.transport = transport
        self._sides.append(side)
        return side
