"""Who answers what: responses that the client asks for, answers to finished turns, and out-of-band responses.

Decides whether a response may begin and where; `Answers` and `SideSession` then run it.
"""

from typing import Final

from msgspec import UnsetType

from realtime.engine import EngineFull
from realtime.protocol import client_events as ce
from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import MessageItem
from realtime.protocol.objects import StatusReason
from realtime.protocol.server_events import Send
from realtime.protocol.session_config import FunctionTool, ToolChoice
from realtime.session.answers import Answers
from realtime.session.context import Briefing, Context, Request
from realtime.session.conversation import Conversation
from realtime.session.editing import VOICE_CONTENT, Editor
from realtime.session.response_plan import Planner, ResponsePlan
from realtime.session.setup import SessionSetup
from realtime.session.side_session import SideSession

CANNOT_HEAR: Final = "model_cannot_hear"
CANNOT_HEAR_MESSAGE: Final = (
    "The model that this server runs was not trained to hear. It cannot answer speech; send text instead."
)


def briefing_of(instructions: str, tools: tuple[FunctionTool, ...], choice: ToolChoice) -> Briefing:
    """What the model is told before the conversation: no function that it may not call."""
    return Briefing(instructions, tools if choice != "none" else ())


class Responder:
    def __init__(
        self,
        setup: SessionSetup,
        conversation: Conversation,
        context: Context,
        editor: Editor,
        planner: Planner,
        send: Send,
    ) -> None:
        self._setup = setup
        self._conversation = conversation
        self._editor = editor
        self._planner = planner
        self._send = send
        self._sides: dict[str, SideSession] = {}  # by response id
        self._unanswered: int | None = None  # a turn ended while an answer ran: the sample where it ended
        self.answers = Answers(setup, conversation, context, planner.plan_default, send)

    # --- what begins a response -------------------------------------------------------------------------------------

    def create(self, options: ce.ResponseOptions, heard_until: int, pts_us: int) -> None:
        """A client's `response.create`. The model answers once it has heard the sound up to `heard_until`."""
        config = self._planner.config
        if config.type == "transcription":
            raise ProtocolError("a transcription session makes no responses", code="invalid_request_error")
        if options.conversation == "none":
            self._create_side(options, pts_us)
            return
        if self.answers.active_id is not None:
            raise ProtocolError(
                f"Conversation already has an active response in progress: {self.answers.active_id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        plan = self._planner.plan(options)
        if isinstance(options.input, UnsetType):
            history = None
            if isinstance(options.instructions, UnsetType) and self._last_was_unheard():
                self.answers.refuse(plan, CANNOT_HEAR, CANNOT_HEAR_MESSAGE)
                return
        else:
            history = self._editor.read_input(options.input, config.audio.input.format, pts_us)
        self.answers.begin(plan, Request(plan.respond(), _briefing(plan), history, heard_until))

    def answer_turn(self, heard_until: int) -> None:
        """Somebody finished speaking and the session is to answer by itself, now or after the answer that runs."""
        if self.answers.active_id is not None:
            self._unanswered = heard_until
            return
        plan = self._planner.plan_default()
        if self._setup.info.hears:
            self.answers.begin(plan, Request(plan.respond(), _briefing(plan), None, heard_until))
        else:
            self.answers.refuse(plan, CANNOT_HEAR, CANNOT_HEAR_MESSAGE)

    def answer_waiting_turn(self) -> None:
        """Answer the turn that ended while another answer ran, if that is over now."""
        if self._unanswered is not None and self.answers.active_id is None:
            heard_until, self._unanswered = self._unanswered, None
            self.answer_turn(heard_until)

    def _last_was_unheard(self) -> bool:
        """Whether all that an answer could be about is sound which the model cannot hear."""
        last_id = self._conversation.last_id
        if self._setup.info.hears or last_id is None:
            return False
        last = self._conversation.retrieve(last_id)
        return isinstance(last, MessageItem) and last.content == VOICE_CONTENT

    # --- out of band ------------------------------------------------------------------------------------------------

    def _create_side(self, options: ce.ResponseOptions, pts_us: int) -> None:
        plan = self._planner.plan(options, out_of_band=True)
        if isinstance(options.input, UnsetType):
            history = self._conversation.as_messages()
        else:
            history = self._editor.read_input(options.input, self._planner.config.audio.input.format, pts_us)
        slots, limits = self._setup.sides, self._setup.limits
        if slots is None or len(self._sides) >= limits.max_side_responses:
            raise _no_slot(f"this session may run {limits.max_side_responses} of them at a time")
        request = Request(plan.respond(), _briefing(plan), history)
        name = f"{self._setup.name}/{plan.id}"
        side = SideSession(name, plan, request, self._setup.ids, limits.max_response_chars, self._send)
        try:
            slots.open_side(side)
        except EngineFull as full:
            raise _no_slot(str(full)) from None
        self._sides[plan.id] = side
        side.start(self._close_side)

    def _close_side(self, side: SideSession) -> None:
        del self._sides[side.response_id]
        assert self._setup.sides is not None, "it was opened there"
        self._setup.sides.close_side(side)

    # --- what ends one ----------------------------------------------------------------------------------------------

    def cancel(self, response_id: str | None, reason: StatusReason) -> None:
        """A client's `response.cancel`."""
        if response_id in self._sides:
            self._sides[response_id].cancel(reason)
        elif self.answers.active_id is not None and response_id in (None, self.answers.active_id):
            self.answers.cancel(reason)
        else:
            raise ProtocolError(
                "Cancellation failed: no active response found", code="response_cancel_not_active", param="response_id"
            )

    def close(self) -> None:
        """The session ends: give the slots of its side sessions back. May be called again."""
        self._unanswered = None
        for side in list(self._sides.values()):
            side.cancel("client_cancelled")


def _briefing(plan: ResponsePlan) -> Briefing:
    return briefing_of(plan.instructions, plan.tools, plan.tool_choice)


def _no_slot(reason: str) -> ProtocolError:
    return ProtocolError(
        f"an out-of-band response needs an engine slot of its own, and there is none now: {reason}",
        code="no_capacity",
        param="response.conversation",
        type="server_error",
    )
