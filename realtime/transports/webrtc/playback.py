"""Playback: what a session says and what plays of it. Follows the session's events, tells it what became of the sound.

The sound of `response.output_audio.delta` goes into a `SpeechQueue`; what starts, stops and is cut there goes back as
`output_audio_buffer.*` and truncated items. Somebody who begins to speak cuts what is playing at once, even of a
response that was generated long ago. No I/O; knows no connection.
"""

import base64
from collections import deque
from typing import Final

from realtime.protocol import client_events as ce
from realtime.protocol import server_events as ev
from realtime.protocol.audio import WireDecoder
from realtime.protocol.server_events import ServerEvent
from realtime.session.session import Session
from realtime.transports.webrtc.speech import Cleared, Place, SpeechQueue, Started, Stopped
from streams.types import Samples

NUM_DELETED_KNOWN: Final = 64  # items that were deleted lately and cannot be truncated any more


class Playback:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._decoders: dict[str, WireDecoder] = {}  # of the responses being generated
        self._aside: set[str] = set()  # responses out of band, whose items are in no conversation
        self._deleted: deque[str] = deque(maxlen=NUM_DELETED_KNOWN)
        self.speech = SpeechQueue()

    def follow(self, event: ServerEvent) -> None:
        """One event on its way to the client, in order."""
        match event:
            case ev.ResponseCreated(response=response):
                self._decoders[response.id] = WireDecoder(response.audio.output.format)
                if response.conversation_id is None:
                    self._aside.add(response.id)
            case ev.ResponseOutputAudioDelta():
                place = Place(event.response_id, event.item_id, event.content_index)
                pcm = self._decoders[event.response_id].push(base64.b64decode(event.delta))
                self.speech.push(place, pcm)
            case ev.ResponseDone(response=response):
                self._decoders.pop(response.id, None)
                self.speech.finish(response.id)
                self._tell()
                self._aside.discard(response.id)
            case ev.InputAudioBufferSpeechStarted():
                detection = self._session.config.audio.input.turn_detection
                if detection is not None and detection.interrupt_response:
                    self.clear()
            case ev.ConversationItemDeleted():
                self._deleted.append(event.item_id)

    def take(self, num_samples: int) -> Samples:
        """What plays next."""
        pcm = self.speech.take(num_samples)
        self._tell()
        return pcm

    def clear(self) -> None:
        """Play nothing of what waits."""
        self.speech.clear()
        self._tell()

    def _tell(self) -> None:
        while (note := self.speech.pop_note()) is not None:
            match note:
                case Started(response_id):
                    self._session.tell([ev.OutputAudioBufferStarted(response_id=response_id)])
                case Stopped(response_id):
                    self._session.tell([ev.OutputAudioBufferStopped(response_id=response_id)])
                case Cleared(response_id, cuts):
                    self._session.tell([ev.OutputAudioBufferCleared(response_id=response_id)])
                    if response_id not in self._aside:
                        self._truncate(cuts)

    def _truncate(self, cuts: tuple[tuple[Place, int], ...]) -> None:
        for place, played_ms in cuts:
            if place.item_id not in self._deleted:
                cut = ce.ConversationItemTruncate(
                    item_id=place.item_id, content_index=place.content_index, audio_end_ms=played_ms
                )
                self._session.receive(cut)
