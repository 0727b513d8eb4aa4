"""AnswerCollector: a session's events in, the one answer to a request out. Reads no clock and no connection."""

from dataclasses import dataclass

from omniweave_client.events import (
    AudioDelta,
    Error,
    Event,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    TextDelta,
    ToolCall,
    TranscriptDelta,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `text` is what was written and, for spoken answers, the words that were said.

    `first_token_us` runs from the request to the first text, transcript, sound or tool call, `total_us` to the end.
    """

    response_id: str
    text: str
    status: ResponseStatus
    reason: str | None
    usage: Usage | None
    tool_calls: tuple[ToolCall, ...]
    first_token_us: int | None
    total_us: int


class AnswerCollector:
    """Waits for the answer to `request_id`. `event_ids` are the events whose failure is the question's failure."""

    def __init__(self, request_id: str, event_ids: tuple[str, ...], asked_us: int) -> None:
        self.response_id: str | None = None
        self._request_id = request_id
        self._event_ids = event_ids
        self._asked_us = asked_us
        self._first_token_us: int | None = None
        self._text: list[str] = []
        self._tool_calls: list[ToolCall] = []

    def push(self, event: Event, now_us: int) -> Answer | Error | None:
        """The answer once it is complete, the error that prevents it, or None to go on."""
        match event:
            case Error(event_id=event_id) if event_id in self._event_ids:
                return event
            case ResponseStarted(request_id=request_id) if request_id == self._request_id:
                self.response_id = event.response_id
            case TextDelta() | TranscriptDelta() | AudioDelta() | ToolCall() if event.response_id == self.response_id:
                if self._first_token_us is None:
                    self._first_token_us = now_us - self._asked_us
                if isinstance(event, TextDelta | TranscriptDelta):
                    self._text.append(event.text)
                elif isinstance(event, ToolCall):
                    self._tool_calls.append(event)
            case ResponseDone(response_id=response_id) if response_id == self.response_id:
                return self._finish(event, now_us)
        return None

    def _finish(self, done: ResponseDone, now_us: int) -> Answer:
        return Answer(
            done.response_id,
            "".join(self._text),
            done.status,
            done.reason,
            done.usage,
            tuple(self._tool_calls),
            self._first_token_us,
            now_us - self._asked_us,
        )
