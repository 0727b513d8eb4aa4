"""One client's session: its events in, events for it out, and the windows of its ticks. Sans I/O.

`receive` takes what the client sent and never raises for it; `outbox` holds what it is to be told; the scheduler asks
for `demand`, takes a window, and delivers what the engine made. `closing` says why a session is over, once it is.
Never sleeps and reads no clock but the one it is given.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from realtime.protocol import client_events as ce
from realtime.protocol import server_events as ev
from realtime.protocol.client_events import ClientEvent
from realtime.protocol.errors import ProtocolError
from realtime.protocol.images import parse_image
from realtime.protocol.objects import session_object
from realtime.protocol.server_events import ServerEvent, error_event
from realtime.protocol.session_config import Extensions, SessionConfig, fresh_config
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import SessionPatch
from realtime.protocol.wire import decode_client_event
from realtime.scheduler import Demand
from realtime.session.context import Context
from realtime.session.conversation import Conversation
from realtime.session.downlink import CloseKind as CloseKind
from realtime.session.downlink import Closing, Downlink
from realtime.session.editing import Editor
from realtime.session.listening import Listener
from realtime.session.outbox import Outbox
from realtime.session.responding import Responder, briefing_of
from realtime.session.response_plan import Planner
from realtime.session.setup import SessionSetup
from realtime.session.turn_taking import TurnTaking
from realtime.session.turns import TurnEvent
from streams.types import (
    TICK_US,
    AudioChunk,
    Pixels,
    Rewrite,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    VideoFrame,
)
from streams.video import VideoInput

MICROPHONE_OPEN_US: Final = 1_000_000  # a microphone that sent nothing for this long is closed
MAX_WAITING_TICKS: Final = 2  # sound that waits longer is caught up with, faster than it plays
SETTLING_TICKS: Final = 4  # for this long after something new, a self-paced model may begin to answer


class Session:
    def __init__(self, setup: SessionSetup) -> None:
        self._setup = setup
        self._downlink = downlink = Downlink(setup)
        config = fresh_config(setup.name, setup.info, setup.expires_at)
        self._config = merged(config, setup.patch, setup.info)
        conversation = Conversation(setup.limits)
        self._context = Context(conversation, setup.info.self_paced, setup.limits.max_commands)
        self._listener = Listener(self._config.audio.input, setup.limits, setup.make_activity, setup.info.hears)
        self._camera = VideoInput()
        self._planner = planner = Planner(setup.ids, setup.info, setup.limits, self._config)
        self._editor = editor = Editor(setup, conversation, self._context, downlink.send)
        self._responder = Responder(setup, conversation, self._context, editor, planner, downlink.send)
        self._turns = TurnTaking(setup, self._listener, editor, self._responder, downlink.send)
        self._tick = 0
        self._settling_ticks = 0
        self._microphone_until_us = 0
        self._camera_until_us = 0
        self._camera_waits = False
        self._last_demand = Demand.IDLE
        self._apply_config()

    @property
    def name(self) -> str:
        return self._setup.name

    @property
    def config(self) -> SessionConfig:
        return self._config

    @property
    def outbox(self) -> Outbox:
        return self._downlink.outbox

    @property
    def closing(self) -> Closing | None:
        """Why the session is over, once it is."""
        return self._downlink.closing

    @property
    def pts_us(self) -> int:
        """Session time: where the next tick begins."""
        return self._tick * TICK_US

    @property
    def unheard_samples(self) -> int:
        """Sound that waits for a tick to take it."""
        return self._listener.num_waiting

    def start(self) -> None:
        """Greet the client. Events that came before are answered after."""
        self._downlink.send([ev.SessionCreated(session=session_object(self._config))])

    def close(self, kind: CloseKind, message: str) -> None:
        """The session is over. What the outbox holds may still be sent. Only the first call does anything."""
        self._responder.close()
        self._downlink.close(kind, message)

    # --- from the client --------------------------------------------------------------------------------------------

    def receive_frame(self, data: str | bytes) -> None:
        """The text of one frame."""
        if self.closing is not None:
            return
        if self._setup.tap is not None and isinstance(data, str):
            self._setup.tap.client_event(data, self.pts_us)
        try:
            event = decode_client_event(data)
        except ProtocolError as error:
            self._downlink.send([error_event(error)])
            self._after_change()
            return
        self.receive(event)

    def receive(self, event: ClientEvent) -> None:
        """One event. What is wrong with it is told to the client, by the event's own id."""
        if self.closing is not None:
            return
        try:
            self._do(event)
        except ProtocolError as error:
            error.event_id = event.event_id
            self._downlink.send([error_event(error)])
        self._after_change()

    def hear(self, chunk: AudioChunk) -> None:
        """Sound that came as media rather than as an event, with its own time. Raises `ProtocolError` if too much."""
        if self.closing is None:
            self._open_microphone()
            self._follow(self._listener.hear(chunk))
            self._after_change()

    def see(self, rgb: Pixels) -> None:
        """A camera picture that came as media rather than as an event."""
        if self.closing is None:
            self._camera_until_us = self._setup.now_us() + MICROPHONE_OPEN_US
            self._camera.push(VideoFrame(self.pts_us, rgb))
            self._camera_waits = True
            self._after_change()

    def tell(self, events: Sequence[ServerEvent]) -> None:
        """Events that the transport has to add: what it plays by itself, what it could not carry."""
        self._downlink.send(events)

    def _do(self, event: ClientEvent) -> None:
        match event:
            case ce.SessionUpdate():
                self._update(event.session)
            case ce.InputAudioBufferAppend():
                self._open_microphone()
                self._follow(self._listener.append(event.audio))
            case ce.InputAudioBufferCommit():
                self._turns.commit(self._config, self.pts_us)
                if self._config.audio.input.turn_detection is None:
                    self._microphone_until_us = 0  # push to talk: the button was let go
            case ce.InputAudioBufferClear():
                self._turns.clear()
            case ce.OutputAudioBufferClear():
                pass  # what is queued for playing is with the client, or with a transport that plays for it
            case ce.ConversationItemCreate():
                self._editor.create(event, self._config.audio.input.format, self.pts_us)
            case ce.ConversationItemRetrieve():
                self._editor.retrieve(event)
            case ce.ConversationItemTruncate():
                self._editor.truncate(event)
            case ce.ConversationItemDelete():
                self._editor.delete(event)
            case ce.ResponseCreate():
                self._listener.stop_expecting()
                self._responder.create(event.response, self._listener.num_committed, self.pts_us)
            case ce.ResponseCancel():
                self._responder.cancel(event.response_id, "client_cancelled")
            case ce.OmniweaveVideoAppend():
                self._look(event.image)
            case ce.OmniweaveResponseRate():
                pass  # recorded like every event, for those who train on it

    def _update(self, patch: SessionPatch) -> None:
        config = merged(self._config, patch, self._setup.info)
        num_bytes = len(msgspec.json.encode(config))
        if num_bytes > self._setup.limits.max_config_bytes:
            raise ProtocolError(
                f"the session would be {num_bytes} bytes long, the most is {self._setup.limits.max_config_bytes}",
                code="session_too_large",
                param="session",
            )
        self._config = config
        self._apply_config()
        self._downlink.send([ev.SessionUpdated(session=session_object(config))])

    def _apply_config(self) -> None:
        config = self._config
        self._planner.config = config
        detection = config.audio.input.turn_detection
        self._listener.configure(config.audio.input)
        self._context.describe(briefing_of(config.instructions, config.tools, config.tool_choice))
        self._context.pace(free=detection is not None and detection.create_response)
        if detection is None:
            self._turns.stop_detecting()

    def _look(self, data: bytes) -> None:
        extensions = self._config.omniweave
        if not isinstance(extensions, Extensions) or not extensions.video:
            raise ProtocolError(
                "video is not switched on: set session.omniweave.video first", code="extension_not_enabled"
            )
        self.see(parse_image(data, self._setup.limits.max_image_pixels, "image"))

    def _open_microphone(self) -> None:
        self._microphone_until_us = self._setup.now_us() + MICROPHONE_OPEN_US

    def _follow(self, events: Sequence[TurnEvent]) -> None:
        self._turns.follow(events, self._config, self.pts_us)

    # --- for the scheduler ------------------------------------------------------------------------------------------

    def demand(self) -> Demand:
        """What the session needs of the scheduler now."""
        self._last_demand = self._demand()
        return self._last_demand

    def _demand(self) -> Demand:
        if self.closing is not None:
            return Demand.IDLE
        now_us = self._setup.now_us()
        if now_us < max(self._microphone_until_us, self._camera_until_us):
            return Demand.FREE if self._listener.waiting_ticks > MAX_WAITING_TICKS else Demand.LIVE
        has_work = (
            self._listener.num_waiting > 0
            or self._camera_waits
            or self._context.answering
            or self._responder.answers.active_id is not None
            or self._settling_ticks > 0
            or self._context.has_work(self._listener.num_heard)
        )
        return Demand.FREE if has_work else Demand.IDLE

    def take_window(self) -> TickWindow:
        """What reached the session since the tick before."""
        tick = self._tick
        listens = self._setup.now_us() < self._microphone_until_us or self._listener.num_waiting > 0
        self._follow(self._listener.listen())
        commands = self._context.take(self._listener.num_heard_after(listens), self._listener.num_heard)
        self._tick += 1
        self._downlink.pts_us = self.pts_us
        self._camera_waits = False
        if any(isinstance(command, Rewrite) for command in commands):
            self._responder.answers.note_rewrite()
        sound = self._listener.take_window(tick) if listens else None
        window = TickWindow(
            self.name,
            tick,
            audio=sound.samples if sound is not None else None,
            frames=self._camera.take(),
            commands=commands,
            gap_samples=sound.gap_samples if sound is not None else 0,
        )
        is_news = bool(window.commands or window.frames) or window.audio is not None
        self._settling_ticks = SETTLING_TICKS if is_news else max(self._settling_ticks - 1, 0)
        if not self._setup.info.self_paced:
            self._settling_ticks = 0
        if self._setup.tap is not None:
            self._setup.tap.window(window)
        return window

    def note_input(self, tick_input: TickInput) -> None:
        if self._setup.tap is not None:
            self._setup.tap.input(tick_input)

    def deliver(self, output: TickOutput) -> None:
        """What the engine made of one of our ticks, or an early part of it."""
        if self._setup.tap is not None:
            self._setup.tap.output(output)
        if self.closing is not None:
            return
        was_answering = self._responder.answers.active_id
        self._responder.answers.deliver(output)
        if was_answering is not None and self._responder.answers.active_id is None:
            self._listener.expect_speech(self._responder.answers.remaining_ms)
        self._after_change()

    def fail(self, failure: TickFailure) -> None:
        """The engine lost this session. The client is told, then it is over."""
        if self._setup.tap is not None:
            self._setup.tap.failure(failure)
        if self.closing is not None:
            return
        self._responder.answers.fail("engine_failure", failure.reason)
        self._downlink.send([error_event(ProtocolError(failure.reason, code="engine_failure", type="server_error"))])
        self.close(CloseKind.ENGINE_FAILED, failure.reason)

    def _after_change(self) -> None:
        """Go on with what waited for this, and tell the scheduler if the session needs more of it than before."""
        if self.closing is not None:  # this was one event too many for the outbox
            self._responder.close()
            return
        self._responder.answer_waiting_turn()
        before = self._last_demand
        if _URGENCY[self.demand()] > _URGENCY[before]:
            self._setup.wake()


_URGENCY: Final = {Demand.IDLE: 0, Demand.LIVE: 1, Demand.FREE: 2}
