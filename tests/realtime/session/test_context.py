"""What the model is told, and when."""

from realtime.protocol.items import InputText, MessageItem
from realtime.protocol.session_config import FunctionTool
from realtime.session.context import Briefing, Context, Request
from realtime.session.conversation import Conversation
from realtime.session.limits import SessionLimits
from realtime.session.messages import message_of
from streams.types import Command, Hold, Message, Pace, Respond, Rewrite, Role

NO_SOUND = 0
EVER = 10**9


class Told:
    """A context with its conversation, spoken to as a session does."""

    def __init__(self, self_paced: bool = False, max_commands: int = 100) -> None:
        self.conversation = Conversation(SessionLimits())
        self.context = Context(self.conversation, self_paced, max_commands)

    def say(self, text: str, previous: str | None = None) -> None:
        item = MessageItem(id=text, role="user", content=(InputText(text=text),))
        message = message_of(item, 0)
        assert message is not None
        self.conversation.insert(item, message, previous)
        if previous is None:
            self.context.say(message)
        else:
            self.context.invalidate()

    def ask(self, name: str, briefing: Briefing | None = None, **fields: object) -> None:
        self.context.respond(Request(Respond(name), briefing or Briefing(), **fields))  # type: ignore[arg-type]

    def take(self, num_heard: int = EVER) -> list[str]:
        return [describe(command) for command in self.context.take(num_heard, num_heard)]


def describe(command: Command) -> str:
    match command:
        case Rewrite(prefix, history, tools):
            words = [*(f"[{message.text}]" for message in prefix), *(message.text for message in history)]
            return " ".join(["rewrite", *words, *(f"<{tool.name}>" for tool in tools)])
        case Message():
            return f"say {command.text}"
        case Respond(response):
            return f"respond {response}"
        case Hold():
            return "hold"
        case Pace(free):
            return f"pace {free}"


def test_the_sequence_begins_with_a_rewrite() -> None:
    told = Told()
    assert told.take() == ["rewrite"]
    assert told.take() == []


def test_messages_before_the_first_tick_are_its_history() -> None:
    told = Told()
    told.context.describe(Briefing("be brief"))
    told.say("a")
    told.say("b")
    told.ask("r", Briefing("be brief"))
    assert told.take() == ["rewrite [be brief] a b", "respond r"]


def test_later_messages_are_told_one_by_one() -> None:
    told = Told()
    told.take()
    told.say("a")
    assert told.context.has_work(NO_SOUND)
    assert told.take() == ["say a"]


def test_edits_of_the_past_wait_until_something_depends_on_them() -> None:
    told = Told()
    told.say("a")
    told.take()
    told.say("z", "root")
    told.context.describe(Briefing("be brief"))
    assert not told.context.has_work(NO_SOUND)
    assert told.take() == []
    told.say("b")
    assert told.take() == ["rewrite [be brief] z a b"]


def test_nothing_new_is_told_while_the_model_answers() -> None:
    told = Told()
    told.ask("r")
    told.take()
    told.say("a")
    told.context.invalidate()
    assert not told.context.has_work(NO_SOUND)
    assert told.take() == []
    told.context.finish("r")
    assert told.take() == ["rewrite a"]


def test_a_self_paced_model_is_told_at_once() -> None:
    told = Told(self_paced=True)
    told.ask("r")
    told.take()
    told.say("a")
    assert told.take() == ["say a"]
    told.context.describe(Briefing("be brief"))
    assert told.context.has_work(NO_SOUND)
    assert told.take() == ["rewrite [be brief] a"]


def test_an_answer_waits_for_the_sound_it_is_about() -> None:
    told = Told()
    told.ask("r", after_sample=10_000)
    assert told.take(6_000) == ["rewrite"]
    assert not told.context.has_work(6_000)
    assert told.context.has_work(12_000)
    assert told.take(12_000) == ["respond r"]


def test_hold_stops_a_running_answer_and_frees_the_next() -> None:
    told = Told()
    told.ask("r")
    told.take()
    told.context.hold()
    told.say("a")
    told.ask("s")
    assert told.take() == ["hold", "say a", "respond s"]


def test_hold_forgets_an_answer_that_still_waits() -> None:
    told = Told()
    told.ask("r", after_sample=10)
    told.context.hold()
    assert told.take() == ["rewrite"]


def test_an_end_that_comes_late_does_not_end_the_next_answer() -> None:
    told = Told()
    told.ask("r")
    told.take()
    told.context.hold()
    told.ask("s")
    told.take()
    told.context.finish("r")
    assert told.context.answering
    told.context.finish("s")
    assert not told.context.answering


def test_an_answer_with_instructions_of_its_own_is_the_only_one_with_them() -> None:
    told = Told()
    told.say("a")
    told.take()
    told.ask("r", Briefing("shout", (FunctionTool(name="f"),)))
    assert told.take() == ["rewrite [shout] a <f>", "respond r"]
    told.context.finish("r")
    assert told.take() == []
    told.say("b")
    assert told.take() == ["rewrite a b"]


def test_an_answer_with_an_input_of_its_own_leaves_the_conversation_alone() -> None:
    told = Told()
    told.say("a")
    told.take()
    told.ask("r", history=(Message(0, Role.USER, ("other",)),))
    assert told.take() == ["rewrite other", "respond r"]
    told.context.finish("r")
    told.ask("s")
    assert told.take() == ["rewrite a", "respond s"]


def test_more_messages_than_may_wait_are_told_together() -> None:
    told = Told(max_commands=2)
    told.take()
    for text in "abcd":
        told.say(text)
    assert told.take() == ["rewrite a b c d"]


def test_a_full_queue_does_not_keep_the_model_from_being_asked() -> None:
    told = Told(max_commands=2)
    told.take()
    told.say("a")
    told.say("b")
    told.ask("r")
    assert told.take() == ["say a", "say b", "respond r"]


def test_pace_is_for_models_that_pace_themselves_and_only_when_it_changes() -> None:
    taker, paced = Told(), Told(self_paced=True)
    for told in (taker, paced):
        told.context.pace(free=False)
        told.context.pace(free=False)
    assert taker.take() == ["rewrite"]
    assert paced.take() == ["pace False", "rewrite"]
