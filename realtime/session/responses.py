"""One response's life: what the engine produces tick by tick → the events a client sees, in their one right order.

created → per item (added, deltas, done) → done. Items follow each other: words, then calls, then words again. After
`finish` nothing more comes. Pure: knows no clock, no engine and no transport; the conversation is told of each item.
"""

from typing import Final

from msgspec import UNSET

from realtime.protocol import server_events as ev
from realtime.protocol.ids import Ids
from realtime.protocol.images import image_url
from realtime.protocol.items import Item, ItemStatus
from realtime.protocol.objects import ResponseStatus, ResponseUsage, StatusDetails, StatusError, StatusReason
from realtime.protocol.server_events import ServerEvent
from realtime.session.conversation import Conversation
from realtime.session.response_items import CallWriter, MessageWriter, Place, Tick
from realtime.session.response_plan import ResponsePlan
from streams.types import SAMPLE_RATE_HZ, TICK_US, Finish, TickOutput, ToolCallDelta

ENDINGS: Final[dict[Finish, tuple[ResponseStatus, StatusReason | None]]] = {
    Finish.STOP: ("completed", None),
    Finish.LENGTH: ("incomplete", "max_output_tokens"),
    Finish.HELD: ("cancelled", None),
}


class Response:
    """A running response. `conversation` None: out of band, its items join nothing."""

    def __init__(self, plan: ResponsePlan, conversation: Conversation | None, ids: Ids, max_chars: int) -> None:
        self.plan = plan
        self._conversation = conversation
        self._ids = ids
        self._max_chars = max_chars
        self._num_chars = 0
        self._num_samples = 0
        self._num_items = 0
        self._num_images = 0
        self._writer: MessageWriter | CallWriter | None = None
        self._call_index: int | None = None
        self._pts_us = 0
        self._output: list[Item] = []
        self._done = False

    @property
    def is_done(self) -> bool:
        return self._done

    @property
    def is_full(self) -> bool:
        """It has grown as long as one response may."""
        return self._num_chars >= self._max_chars

    @property
    def spoken_ms(self) -> int:
        return self._num_samples * 1000 // SAMPLE_RATE_HZ

    def start(self) -> list[ServerEvent]:
        return [ev.ResponseCreated(response=self.plan.describe("in_progress"))]

    def push(self, output: TickOutput) -> list[ServerEvent]:
        """What one output of the engine adds. `finish` is the caller's to draw conclusions from."""
        if self._done:
            return []
        self._pts_us = output.tick * TICK_US
        tick: Tick = output.tick if self.plan.shows_ticks else UNSET
        events: list[ServerEvent] = []
        if output.pcm is not None and "audio" in self.plan.outputs:
            writer, opened = self._message()
            events += opened + writer.push_sound(output.pcm, tick)
            self._num_samples += len(output.pcm)
        if output.text and ("text" in self.plan.outputs or "audio" in self.plan.outputs):
            writer, opened = self._message()
            events += opened + writer.push_text(output.text, tick)
            self._num_chars += len(output.text)
        for delta in output.tool_calls:
            events += self._push_call(delta, tick)
        if output.image is not None and "image" in self.plan.outputs:
            events.append(self._image(output, tick))
        return events

    def finish(
        self,
        status: ResponseStatus,
        usage: ResponseUsage | None,
        reason: StatusReason | None = None,
        error: StatusError | None = None,
    ) -> list[ServerEvent]:
        """Close what is open, then the response. Only the first call does anything."""
        if self._done:
            return []
        self._done = True
        events = self._close("completed" if status == "completed" else "incomplete")
        details: StatusDetails | None = None
        if status == "cancelled" or status == "incomplete" or status == "failed":
            details = StatusDetails(type=status, reason=reason or UNSET, error=error or UNSET)
        response = self.plan.describe(status, details, tuple(self._output), usage)
        return [*events, ev.ResponseDone(response=response)]

    def _place(self) -> Place:
        self._num_items += 1
        return Place(self.plan.id, self._num_items - 1, self._conversation)

    def _message(self) -> tuple[MessageWriter, list[ServerEvent]]:
        """The open message; where none is, what is open is closed first."""
        if isinstance(self._writer, MessageWriter):
            return self._writer, []
        events = self._close("completed")
        outputs = self.plan.outputs
        audio_format = self.plan.audio_format if "audio" in outputs else None
        writer = MessageWriter(self._place(), self._ids.item(), audio_format, writes_text="text" in outputs)
        self._writer = writer
        return writer, events + writer.open()

    def _push_call(self, delta: ToolCallDelta, tick: Tick) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        if self._call_index != delta.index or not isinstance(self._writer, CallWriter):
            events += self._close("completed")
            writer = CallWriter(self._place(), self._ids.item(), self._ids.call(), delta.name or "")
            self._writer, self._call_index = writer, delta.index
            events += writer.open()
        if delta.arguments:
            events += self._writer.push(delta.arguments, tick)
            self._num_chars += len(delta.arguments)
        return events

    def _image(self, output: TickOutput, tick: Tick) -> ServerEvent:
        assert output.image is not None
        height, width, _ = output.image.shape
        self._num_images += 1
        return ev.OmniweaveImageDone(
            response_id=self.plan.id,
            image_index=self._num_images - 1,
            image_url=image_url(output.image),
            width=width,
            height=height,
            tick=tick,
        )

    def _close(self, status: ItemStatus) -> list[ServerEvent]:
        """Finish the open item, if there is one."""
        if self._writer is None:
            return []
        item, events = self._writer.close(status, self._pts_us)
        self._writer = self._call_index = None
        if item is not None:
            self._output.append(item)
        return events
