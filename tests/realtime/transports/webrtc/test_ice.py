"""Ports and addresses of calls, on aioice connections of this machine."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from aioice import Connection

from realtime.rtc_config import PortRange, RtcConfig, TurnServer
from realtime.transports.webrtc.ice import IceNetwork, NoPortFree, PortPool


def ignore() -> None:
    pass


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Connection]]:
    """Connections that are closed at the end."""
    made: list[Connection] = []

    def make(network: IceNetwork, note_check: Callable[[], None] = ignore, is_client: bool = False) -> Connection:
        made.append(Connection(ice_controlling=is_client))
        network.prepare(made[-1], note_check)
        return made[-1]

    yield make
    for connection in made:
        await connection.close()


def free_ports(count: int) -> PortRange:
    """Ports next to each other that nobody has, as far as can be told."""
    for first in range(42_000, 60_000, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            try:
                tried.bind(("", first))
            except OSError:
                continue
        return PortRange(first, first + count - 1)
    raise AssertionError("no ports are free")


def test_ports_are_tried_in_turn_and_rest_after_use():
    pool = PortPool(PortRange(5_000, 5_003))
    first = next(iter(pool.take()))
    second = next(iter(pool.take()))
    assert first != second
    assert sorted(pool.take()) == [5_000, 5_001, 5_002, 5_003]
    assert list(PortPool(None).take()) == [0]


async def test_sockets_stay_within_the_range(connect: Callable[..., Connection]):
    ports = free_ports(4)
    network = IceNetwork(RtcConfig(ports=ports))
    for _ in range(3):
        connection = connect(network)
        await connection.gather_candidates()
        assert connection.local_candidates
        assert all(ports.first <= candidate.port <= ports.last for candidate in connection.local_candidates)


async def test_a_full_range_is_reported(connect: Callable[..., Connection]):
    network = IceNetwork(RtcConfig(ports=free_ports(1)))
    await connect(network).gather_candidates()
    with pytest.raises(NoPortFree, match="no UDP port is free"):
        await connect(network).gather_candidates()


async def test_outside_addresses_are_offered_with_the_same_ports(connect: Callable[..., Connection]):
    connection = connect(IceNetwork(RtcConfig(addresses=("203.0.113.9",))))
    await connection.gather_candidates()
    own = [c for c in connection.local_candidates if c.host != "203.0.113.9" and ":" not in c.host]
    outside = [c for c in connection.local_candidates if c.host == "203.0.113.9"]
    assert [c.port for c in outside] == [c.port for c in own]
    assert {c.type for c in outside} == {"host"}


async def test_checks_of_the_peer_are_noticed(connect: Callable[..., Connection]):
    checks = 0

    def count() -> None:
        nonlocal checks
        checks += 1

    server = connect(IceNetwork(RtcConfig()), count)
    client = connect(IceNetwork(RtcConfig()), is_client=True)
    await asyncio.gather(server.gather_candidates(), client.gather_candidates())
    for candidate in server.local_candidates:
        await client.add_remote_candidate(candidate)  # the server is told none of the client's
    for here, there in ((server, client), (client, server)):
        here.remote_username, here.remote_password = there.local_username, there.local_password
    async with asyncio.timeout(20):
        await asyncio.gather(server.connect(), client.connect())
        await client.send(b"hello")
        assert await server.recv() == b"hello"
    assert checks > 0


# --- its configuration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: RtcConfig(stun_url="http://example.org"), "must look like stun:HOST:PORT, got 'http://example.org'"),
        (lambda: RtcConfig(addresses=("example.org",)), "must be IP addresses, got 'example.org'"),
        (lambda: RtcConfig(grace_s=0), "grace_s must be greater than 0, got 0"),
        (lambda: TurnServer("stun:example.org", "user", "secret"), "must look like turn:HOST:PORT"),
        (lambda: TurnServer("turn:example.org", "", "secret"), "needs a user name and a password"),
        (lambda: PortRange(5_000, 4_000), "got 5000-4000"),
        (lambda: PortRange.parse("many"), "got 'many'"),
    ],
)
def test_bad_configuration_is_refused_with_its_value(make: Callable[[], object], why: str):
    with pytest.raises(ValueError, match=why):
        make()


def test_a_range_of_ports_is_read_from_text():
    assert PortRange.parse("50000-50100") == PortRange(50_000, 50_100)
    assert len(PortRange.parse("50000")) == 1


def test_passwords_are_not_shown():
    assert "secret" not in repr(TurnServer("turn:example.org", "user", "secret"))
