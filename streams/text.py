"""CommandQueue: what a client tells and asks the model, bounded, in order, held back while an answer runs.

Enters: commands as the client sent them. Leaves: the commands that the next tick may carry. Never sleeps, never reads
the clock.

The order of leaving:

- `Hold` and `Pace` leave with the next `take`, also past messages that are held.
- `Message` and `Respond` keep their order among each other. `take` hands out at most one `Respond`: what follows it
  is held as though its answer already ran, because it belongs after that answer.
- With `hold_messages` (an answer runs, and the model was not trained to be spoken to meanwhile) every `Message` and
  `Respond` stays for a later `take`.
- `Rewrite` leaves with the next `take`, before every `Respond` that waits. The caller builds it from the whole
  conversation, so it supersedes each older `Message` and `Rewrite` in the queue: they are dropped when it is pushed,
  or the model would read them twice. A `Message` pushed after it follows it as usual.

So `Hold` stops the answer that runs, not one whose `Respond` still waits here.
"""

from streams.types import Command, Hold, Message, Pace, Respond, Rewrite

DEFAULT_MAX_COMMANDS = 1_000
DEFAULT_MAX_CHARACTERS = 4_000_000


class CommandOverflow(Exception):
    """More messages and requests arrived than may wait. The refused one was not kept."""


class CommandQueue:
    """Holds at most `max_commands` commands with `max_characters` of text in all.

    A `Rewrite` and a `Hold` always find room: at most one of each can be wanted, and refusing either would leave the
    model with a wrong past or a running answer. The conversation that a `Rewrite` carries is bounded by its owner.
    """

    def __init__(self, max_commands: int = DEFAULT_MAX_COMMANDS, max_characters: int = DEFAULT_MAX_CHARACTERS) -> None:
        if max_commands < 1 or max_characters < 1:
            raise ValueError(f"the bounds must be positive, got {max_commands} and {max_characters}")
        self._max_commands = max_commands
        self._max_characters = max_characters
        self._waiting: list[Command] = []
        self._num_characters = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, command: Command) -> None:
        """Append a command. Raises `CommandOverflow` where it does not fit."""
        if isinstance(command, Rewrite):
            self._supersede(command)
            return
        if isinstance(command, Hold | Pace) and self._waiting and type(self._waiting[-1]) is type(command):
            self._waiting[-1] = command
            return
        if not isinstance(command, Hold):
            self._check_room(command)
        self._waiting.append(command)
        self._num_characters += count_characters(command)

    def take(self, hold_messages: bool) -> tuple[Command, ...]:
        """The commands of the next tick, in order; those that must wait stay."""
        taken: list[Command] = []
        kept: list[Command] = []
        holding = hold_messages
        for command in self._waiting:
            if holding and isinstance(command, Message | Respond):
                kept.append(command)
                continue
            taken.append(command)
            holding = holding or isinstance(command, Respond)
        self._keep(kept)
        return tuple(taken)

    def has_work(self, hold_messages: bool) -> bool:
        """Whether `take` would return anything."""
        return any(not (hold_messages and isinstance(command, Message | Respond)) for command in self._waiting)

    def _supersede(self, rewrite: Rewrite) -> None:
        kept: list[Command] = [old for old in self._waiting if not isinstance(old, Message | Rewrite)]
        before_responds = next((i for i, command in enumerate(kept) if isinstance(command, Respond)), len(kept))
        kept.insert(before_responds, rewrite)
        self._keep(kept)

    def _keep(self, commands: list[Command]) -> None:
        self._waiting = commands
        self._num_characters = sum(count_characters(command) for command in commands)

    def _check_room(self, command: Command) -> None:
        if len(self._waiting) >= self._max_commands:
            raise CommandOverflow(f"{len(self._waiting)} messages and requests wait, the limit is {self._max_commands}")
        num_characters = self._num_characters + count_characters(command)
        if num_characters > self._max_characters:
            raise CommandOverflow(
                f"{num_characters} characters would wait to be read, the limit is {self._max_characters}"
            )


def count_characters(command: Command) -> int:
    """Characters of text that count toward the bound. A `Rewrite` counts none: its owner bounds the conversation."""
    if isinstance(command, Message):
        return len(command.text)
    if isinstance(command, Respond):
        return sum(len(tool.name) + len(tool.description) + len(tool.parameters_json) for tool in command.tools)
    return 0
