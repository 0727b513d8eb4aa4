"""Where calls meet the network: on which ports sockets are bound, and which addresses a client is told.

aioice binds any port of every address but loopback, and knows no other way. `IceNetwork.prepare` makes one of its
connections gather as `RtcConfig` says and report each authenticated check of its peer, by replacing two methods of
that object, and `release` takes them back. A test checks that they are still where aioice calls them. Remote candidates
and checks stay aioice's own.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aioice.stun import Message

from realtime.rtc_config import PortRange, RtcConfig

logger = logging.getLogger(__name__)

STUN_TIMEOUT_S: Final = 5.0  # a client waits for its answer meanwhile
RECEIVE_BUFFER_BYTES: Final = 262_144  # as aioice asks for
LOOPBACK: Final = "127.0.0.1"  # where the machine has no other address


class NoPortFree(Exception):
    """Every port that calls may use is taken, or there is no network."""


class PortPool:
    """Which ports to try next. Goes round, so that a port rests before it is used again."""

    def __init__(self, ports: PortRange | None) -> None:
        self._ports = ports
        self._num_taken = 0

    def take(self) -> Iterator[int]:
        """Ports to try in turn, every one once; 0 lets the system choose."""
        if self._ports is None:
            yield 0
            return
        for _ in range(len(self._ports)):
            self._num_taken += 1
            yield self._ports.first + self._num_taken % len(self._ports)


class IceNetwork:
    """One per server."""

    def __init__(self, config: RtcConfig) -> None:
        self._config = config
        self._ports = PortPool(config.ports)

    def prepare(self, connection: Connection, note_check: Callable[[], None]) -> None:
        """To be called before `connection` gathers. `note_check` hears of every sign of life of its peer."""
        gather_relayed = connection.get_component_candidates
        check = connection.check_incoming

        async def gather(component: int, addresses: list[str]) -> list[Candidate]:
            hosts = await self._bind_all(connection, component, addresses or [LOOPBACK])
            reflexive, relayed = await asyncio.gather(
                _ask_stun(connection, hosts), gather_relayed(component=component, addresses=[])
            )
            own = [protocol.local_candidate for protocol in hosts]
            return [*own, *self._outside(own), *reflexive, *relayed]

        def check_incoming(message: Message, address: tuple[str, int], protocol: StunProtocol) -> None:
            note_check()
            check(message, address, protocol)

        connection.get_component_candidates = gather  # type: ignore[assignment, method-assign]
        connection.check_incoming = check_incoming  # type: ignore[assignment, method-assign]

    def release(self, connection: Connection) -> None:
        """Undo `prepare`, whose closures hold the connection and whoever hears of checks."""
        for name in ("get_component_candidates", "check_incoming"):
            connection.__dict__.pop(name, None)

    async def _bind_all(self, connection: Connection, component: int, addresses: list[str]) -> list[StunProtocol]:
        """A socket on each address that can have one."""
        bound: list[StunProtocol] = []
        for address in addresses:
            protocol = await self._bind(connection, address)
            if protocol is None:
                continue
            protocol.local_candidate = host_candidate(component, address, _port_of(protocol))
            connection._protocols.append(protocol)
            bound.append(protocol)
        if not bound:
            raise NoPortFree(f"no UDP port is free for another call on {', '.join(addresses)}")
        return bound

    async def _bind(self, connection: Connection, address: str) -> StunProtocol | None:
        loop = asyncio.get_running_loop()
        for port in self._ports.take():
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: StunProtocol(connection), local_addr=(address, port)
                )
            except OSError as error:
                logger.debug("cannot bind %s port %d: %s", address, port, error)
                continue
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            return protocol
        return None

    def _outside(self, own: list[Candidate]) -> list[Candidate]:
        """The configured addresses, as whichever router forwards them to us: same ports, same kind of address."""
        return [
            host_candidate(candidate.component, address, candidate.port)
            for address in self._config.addresses
            for candidate in own
            if ip_address(address).version == ip_address(candidate.host).version
        ]


def host_candidate(component: int, address: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", address),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=address,
        port=port,
        type="host",
    )


async def _ask_stun(connection: Connection, protocols: list[StunProtocol]) -> list[Candidate]:
    """How the configured STUN server sees us, as far as it answers in time."""
    server = connection.stun_server
    if server is None:
        return []
    asked = [
        asyncio.create_task(server_reflexive_candidate(protocol, server))
        for protocol in protocols
        if ip_address(protocol.local_candidate.host).version == 4  # as aioice, which resolves the server to IPv4 only
    ]
    if not asked:
        return []
    done, pending = await asyncio.wait(asked, timeout=STUN_TIMEOUT_S)
    for task in pending:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]


def _port_of(protocol: StunProtocol) -> int:
    port: int = protocol.transport.get_extra_info("sockname")[1]
    return port
