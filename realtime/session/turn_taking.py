"""The client's speech as the conversation sees it: turns that begin, end, are committed, and are answered.

Feeds the `Listener`, and turns what it finds into events, items and requests for an answer, in the order that clients
expect: started, (interruption,) stopped, committed, item, answer, all under one item id.
"""

from collections.abc import Sequence
from typing import Final

from realtime.protocol import server_events as ev
from realtime.protocol.objects import TranscriptionError
from realtime.protocol.server_events import Send, ServerEvent
from realtime.protocol.session_config import SessionConfig
from realtime.session.editing import Editor
from realtime.session.listening import Listener, VoiceTurn
from realtime.session.responding import CANNOT_HEAR, CANNOT_HEAR_MESSAGE, Responder
from realtime.session.setup import SessionSetup
from realtime.session.turns import IdleTimeout, SpeechStarted, SpeechStopped, TurnEvent

TRANSCRIPTION_UNAVAILABLE: Final = "transcription_unavailable"


class TurnTaking:
    """Every method that may complete a turn takes the session's configuration and its time."""

    def __init__(
        self, setup: SessionSetup, listener: Listener, editor: Editor, responder: Responder, send: Send
    ) -> None:
        self._ids = setup.ids
        self._info = setup.info
        self._listener = listener
        self._editor = editor
        self._responder = responder
        self._send = send
        self._turn: tuple[str, int] | None = None  # being spoken: its item's id, and where it starts in ms

    def follow(self, events: Sequence[TurnEvent], config: SessionConfig, pts_us: int) -> None:
        """What the listener found."""
        for event in events:
            match event:
                case SpeechStarted(start_ms):
                    self._begin(start_ms, config)
                case SpeechStopped(end_ms):
                    self._end(end_ms, config, pts_us)
                case IdleTimeout(start_ms, end_ms):
                    self._pass(start_ms, end_ms, config, pts_us)

    def commit(self, config: SessionConfig, pts_us: int) -> None:
        """The client says that a turn ends here; it asks for an answer by itself."""
        turn = self._listener.commit()
        item_id, _ = self._turn or (self._ids.item(), 0)
        self._turn = None
        self._add(item_id, turn, config, pts_us)

    def clear(self) -> None:
        self._listener.clear()
        self._turn = None
        self._send([ev.InputAudioBufferCleared()])

    def stop_detecting(self) -> None:
        """What is being spoken is no turn any more until it is committed."""
        self._turn = None

    def _begin(self, start_ms: int, config: SessionConfig) -> None:
        item_id = self._ids.item()
        self._turn = (item_id, start_ms)
        self._send([ev.InputAudioBufferSpeechStarted(item_id=item_id, audio_start_ms=start_ms)])
        detection = config.audio.input.turn_detection
        if detection is not None and detection.interrupt_response:
            self._responder.answers.cancel("turn_detected")

    def _end(self, end_ms: int, config: SessionConfig, pts_us: int) -> None:
        item_id, start_ms = self._turn or (self._ids.item(), end_ms)
        self._turn = None
        self._send([ev.InputAudioBufferSpeechStopped(item_id=item_id, audio_end_ms=end_ms)])
        self._add(item_id, self._listener.take_turn(start_ms, end_ms), config, pts_us)
        self._answer(config)

    def _pass(self, start_ms: int, end_ms: int, config: SessionConfig, pts_us: int) -> None:
        """Nobody spoke for so long that the model is asked to."""
        item_id = self._ids.item()
        self._send([ev.InputAudioBufferTimeoutTriggered(item_id=item_id, audio_start_ms=start_ms, audio_end_ms=end_ms)])
        self._add(item_id, self._listener.take_turn(start_ms, end_ms), config, pts_us)
        self._answer(config)

    def _add(self, item_id: str, turn: VoiceTurn, config: SessionConfig, pts_us: int) -> None:
        self._editor.add_turn(item_id, turn, pts_us)
        if config.audio.input.transcription is not None:
            self._send([self._no_transcript(item_id)])

    def _answer(self, config: SessionConfig) -> None:
        detection = config.audio.input.turn_detection
        is_wanted = detection is not None and detection.create_response and config.type == "realtime"
        if is_wanted and not self._info.self_paced:  # a self-paced model decides by itself
            self._responder.answer_turn(self._listener.num_committed)

    def _no_transcript(self, item_id: str) -> ServerEvent:
        """No engine writes down what it heard, and one that cannot hear could not."""
        if self._info.hears:
            code, message = TRANSCRIPTION_UNAVAILABLE, "The model hears, but does not write down what it heard."
        else:
            code, message = CANNOT_HEAR, CANNOT_HEAR_MESSAGE
        error = TranscriptionError(type="server_error", code=code, message=message)
        return ev.ConversationItemInputAudioTranscriptionFailed(item_id=item_id, content_index=0, error=error)
