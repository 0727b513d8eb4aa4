"""A closed aiortc connection → objects that reference counting frees.

aiortc's transports, receivers and connections listen to each other, and go on to when they are closed, so that only the
collector could find that nobody needs them: some thousand objects a call. The few that aioice ties together, an
address pair and its socket, are left to it.
"""

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.rtcicetransport import RTCIceTransport
from pyee.asyncio import AsyncIOEventEmitter


def untie(connection: RTCPeerConnection, channel: RTCDataChannel | None = None) -> None:
    """Break the cycles of listeners of a connection that is closed, and of its channel."""
    emitters: set[AsyncIOEventEmitter | None] = {connection, connection.sctp, channel}
    for transceiver in connection.getTransceivers():
        emitters |= {transceiver.receiver.transport, transceiver.receiver.track, transceiver.sender.track}
    if connection.sctp is not None:
        emitters.add(connection.sctp.transport)
    for transport in ice_transports(connection):
        emitters |= {transport, transport.iceGatherer}
    for emitter in emitters:
        if emitter is not None:
            emitter.remove_all_listeners()


def ice_transports(connection: RTCPeerConnection) -> set[RTCIceTransport]:
    found = {transceiver.receiver.transport.transport for transceiver in connection.getTransceivers()}
    if connection.sctp is not None:
        found.add(connection.sctp.transport.transport)
    return found
