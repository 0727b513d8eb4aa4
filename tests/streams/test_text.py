"""CommandQueue: order kept, answers not talked into, the past rewritten once, memory bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.text import CommandOverflow, CommandQueue, count_characters
from streams.types import Command, Hold, Message, Pace, Respond, Rewrite, Role, Tool


def say(text: str) -> Message:
    return Message(0, Role.USER, (text,))


def make_queue(*commands: Command, max_commands: int = 100, max_characters: int = 1_000) -> CommandQueue:
    queue = CommandQueue(max_commands, max_characters)
    for command in commands:
        queue.push(command)
    return queue


ASK, ASK_AGAIN = Respond("first"), Respond("second")
REWRITE = Rewrite((), (say("all of it"),))


def test_commands_leave_in_the_order_they_came() -> None:
    commands = (Pace(free=False), say("one"), say("two"), ASK)
    queue = make_queue(*commands)
    assert queue.take(hold_messages=False) == commands
    assert queue.take(hold_messages=False) == ()


def test_while_an_answer_runs_messages_and_requests_wait_in_order() -> None:
    queue = make_queue(say("one"), ASK)
    assert queue.take(hold_messages=True) == ()
    assert not queue.has_work(hold_messages=True)
    queue.push(say("two"))
    assert queue.take(hold_messages=False) == (say("one"), ASK)
    assert queue.take(hold_messages=False) == (say("two"),)


def test_hold_and_pace_pass_what_is_held() -> None:
    queue = make_queue(say("one"), Hold(), ASK, Pace(free=True))
    assert queue.has_work(hold_messages=True)
    assert queue.take(hold_messages=True) == (Hold(), Pace(free=True))
    assert queue.take(hold_messages=False) == (say("one"), ASK)


def test_one_request_is_handed_out_at_a_time_and_what_follows_it_waits() -> None:
    queue = make_queue(say("one"), ASK, say("two"), Hold(), ASK_AGAIN)
    assert queue.take(hold_messages=False) == (say("one"), ASK, Hold())
    assert queue.take(hold_messages=False) == (say("two"), ASK_AGAIN)


def test_a_rewrite_supersedes_older_messages_and_rewrites() -> None:
    queue = make_queue(say("one"), Rewrite(()), say("two"), REWRITE, say("three"))
    assert queue.take(hold_messages=False) == (REWRITE, say("three"))


def test_a_rewrite_passes_requests_that_wait_but_not_the_hold_before_them() -> None:
    queue = make_queue(Hold(), say("one"), ASK, REWRITE)
    assert queue.take(hold_messages=True) == (Hold(), REWRITE)
    assert queue.take(hold_messages=False) == (ASK,)
    assert make_queue(Hold(), ASK, Hold(), REWRITE).take(hold_messages=False) == (Hold(), REWRITE, ASK, Hold())


def test_a_rewrite_sets_the_messages_that_it_drops_free_again() -> None:
    queue = make_queue(say("x" * 10), max_characters=10)
    queue.push(REWRITE)
    queue.push(say("y" * 10))
    assert queue.take(hold_messages=False) == (REWRITE, say("y" * 10))


def test_repeated_holds_and_paces_are_one() -> None:
    queue = make_queue(Hold(), Hold(), Pace(free=True), Pace(free=False))
    assert queue.take(hold_messages=False) == (Hold(), Pace(free=False))


def test_more_commands_than_may_wait_are_refused() -> None:
    queue = make_queue(say("one"), say("two"), max_commands=2)
    for command in (say("three"), ASK, Pace(free=True)):
        with pytest.raises(CommandOverflow, match="limit is 2"):
            queue.push(command)
    assert queue.take(hold_messages=False) == (say("one"), say("two"))


def test_more_text_than_may_wait_is_refused() -> None:
    queue = make_queue(say("12345"), max_characters=8)
    with pytest.raises(CommandOverflow, match="9 characters"):
        queue.push(say("6789"))
    queue.push(say("678"))
    assert queue.take(hold_messages=False) == (say("12345"), say("678"))
    queue.push(say("12345678"))


def test_a_full_queue_still_takes_a_hold_and_a_rewrite() -> None:
    queue = make_queue(ASK, ASK_AGAIN, max_commands=2)
    queue.push(Hold())
    queue.push(REWRITE)
    assert queue.take(hold_messages=True) == (REWRITE, Hold())


def test_the_text_of_tools_counts() -> None:
    assert count_characters(Respond("r", tools=(Tool("name", "what it does", "{}"),))) == 4 + 12 + 2


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0)])
def test_bounds_are_positive(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="0"):
        CommandQueue(*bounds)


commands = st.one_of(
    st.integers(0, 99).map(lambda n: say(f"m{n}")),
    st.integers(0, 99).map(lambda n: Respond(f"r{n}")),
    st.just(Hold()),
    st.booleans().map(Pace),
)


@given(st.lists(st.one_of(commands, st.booleans()), max_size=40))
def test_messages_and_requests_all_leave_once_and_in_order(steps: list[Command | bool]) -> None:
    """A boolean takes with that `hold_messages`; a command is pushed."""
    queue = CommandQueue()
    pushed: list[Command] = []
    taken: list[Command] = []
    for step in steps:
        if isinstance(step, bool):
            expected = queue.has_work(hold_messages=step)
            batch = queue.take(hold_messages=step)
            assert bool(batch) == expected
            assert sum(isinstance(command, Respond) for command in batch) <= (0 if step else 1)
            taken += batch
        else:
            queue.push(step)
            pushed.append(step)
    while len(queue):
        taken += queue.take(hold_messages=False)
    kinds = (Message, Respond)
    assert [c for c in taken if isinstance(c, kinds)] == [c for c in pushed if isinstance(c, kinds)]
