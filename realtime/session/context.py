"""What the model is told and when: keeps its sequence in step with the conversation, as ticks allow.

The session says what changed (`say`, `invalidate`, `describe`) and what is wanted (`respond`, `hold`, `pace`); `take`
gives the commands of the next tick. Edits of the past are gathered and become one `Rewrite`, built when something
depends on it. Models that take turns are told nothing new while they answer.
"""

from dataclasses import dataclass

from realtime.protocol.session_config import FunctionTool
from realtime.session.conversation import Conversation
from realtime.session.messages import engine_tools
from streams.text import CommandOverflow, CommandQueue
from streams.types import Command, Hold, Message, Pace, Respond, Rewrite, Role


@dataclass(frozen=True, slots=True)
class Briefing:
    """What stands before the conversation."""

    instructions: str = ""
    tools: tuple[FunctionTool, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """An answer that is wanted. `history` replaces the conversation for it, if given.

    `after_sample` is how much of the microphone's sound the model must have heard before it answers.
    """

    respond: Respond
    briefing: Briefing
    history: tuple[Message, ...] | None = None
    after_sample: int = 0


class Context:
    """`self_paced` models are told everything at once; the others only between their answers."""

    def __init__(self, conversation: Conversation, self_paced: bool, max_commands: int) -> None:
        self._conversation = conversation
        self._self_paced = self_paced
        self._queue = CommandQueue(max_commands)
        self._briefing = Briefing()
        self._told: Briefing | None = None  # None: nothing yet, the sequence has not begun
        self._past_changed = False
        self._is_free: bool | None = None
        self._pace: tuple[Pace, ...] = ()
        self._request: Request | None = None
        self._answering: str | None = None  # the answer that the engine works on

    # --- what the session says --------------------------------------------------------------------------------------

    def describe(self, briefing: Briefing) -> None:
        """Instructions and tools from now on."""
        self._briefing = briefing

    def say(self, message: Message) -> None:
        """A new message, already at the end of the conversation."""
        try:
            self._queue.push(message)
        except CommandOverflow:
            self._past_changed = True  # it is told with everything else

    def invalidate(self) -> None:
        """The conversation changed otherwise than at its end."""
        self._past_changed = True

    def respond(self, request: Request) -> None:
        assert self._request is None, "one answer at a time"
        self._request = request

    def hold(self) -> None:
        """Stop the answer, whether it runs or still waits."""
        if self._request is not None:
            self._request = None
        else:
            self._queue.push(Hold())

    def pace(self, free: bool) -> None:
        """Whether a self-paced model may answer by itself."""
        if self._self_paced and free != self._is_free:
            self._is_free = free
            self._pace = (Pace(free),)

    def finish(self, response: str) -> None:
        """The engine has ended an answer."""
        if self._answering == response:
            self._answering = None

    # --- what the tick takes ----------------------------------------------------------------------------------------

    @property
    def answering(self) -> bool:
        return self._answering is not None

    def has_work(self, num_heard: int) -> bool:
        """Whether a tick would carry commands."""
        if self._pace or self._queue.has_work(self._must_wait):
            return True
        if self._must_wait:
            return False
        return self._is_due(num_heard) or (self._self_paced and self._is_stale)

    def take(self, num_heard: int, num_heard_before: int) -> tuple[Command, ...]:
        """The commands of the next tick, which brings the sound heard from `num_heard_before` samples to `num_heard`.

        Commands come before the tick's sound, but for an answer, which comes after it.
        """
        pace, self._pace = self._pace, ()
        held = (*pace, *self._queue.take(hold_messages=True))
        if any(isinstance(command, Hold) for command in held):
            self._answering = None
        if self._must_wait:
            return held
        due = self._request if self._is_due(num_heard) else None
        rewrite = self._rewrite_for(due, num_heard_before)
        if rewrite is not None:
            self._queue.push(rewrite)
        told = (*held, *self._queue.take(hold_messages=False))
        if due is None:
            return told
        self._request = None
        self._answering = due.respond.response
        return (*told, due.respond)

    @property
    def _must_wait(self) -> bool:
        return self._answering is not None and not self._self_paced

    def _is_due(self, num_heard: int) -> bool:
        return self._request is not None and self._request.after_sample <= num_heard

    @property
    def _is_stale(self) -> bool:
        return self._past_changed or self._told != self._briefing

    def _rewrite_for(self, due: Request | None, num_heard: int) -> Rewrite | None:
        """The past anew, if whatever leaves now depends on it and the model was told otherwise."""
        briefing = due.briefing if due is not None else self._briefing
        history = due.history if due is not None else None
        is_stale = self._past_changed or self._told != briefing or history is not None
        is_needed = due is not None or self._told is None or len(self._queue) > 0 or self._self_paced
        if not (is_stale and is_needed):
            return None
        self._told = briefing
        self._past_changed = history is not None
        return rewrite_of(briefing, self._conversation.as_messages(num_heard) if history is None else history)


def rewrite_of(briefing: Briefing, history: tuple[Message, ...]) -> Rewrite:
    prefix = (Message(0, Role.SYSTEM, (briefing.instructions,)),) if briefing.instructions else ()
    return Rewrite(prefix, history, engine_tools(briefing.tools))
