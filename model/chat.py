"""Turns of a conversation as ids: who speaks, where a turn begins and ends, and what tools there are.

ChatML by default: `<|im_start|>role`, line feed, text, `<|im_end|>`, line feed. The two markers are special tokens and
enter as ids; all text, role names included, goes through the tokenizer's `encode`, which never yields a special token.
So the ids of a turn are open_turn(role) + text + close_turn(), and text typed by a person can never end its own turn.

A turn's text is encoded apart from its header. That gives the ids of encoding the whole string at once, except where a
text begins with white space that the tokenizer would have joined with the header's line feed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizers.text import TextTokenizer
from streams.types import Role, Tool

TOOL_INSTRUCTIONS = """You can call functions. Each line between <tools> and </tools> describes one as JSON.
<tools>
{tools}
</tools>
To call a function, answer with its name and arguments as JSON, and nothing else:
<tool_call>{"name": "function name", "arguments": {"argument name": "value"}}</tool_call>"""


@dataclass(frozen=True, slots=True)
class ChatTemplateConfig:
    """Facts about the weights, stored in their `config.json`.

    `start` and `end` name special tokens; role names are what the weights were trained with. The list of tools takes
    the place of `{tools}` in `tool_instructions`; a call is written between `tool_call_start` and `tool_call_end`.
    """

    start: str = "<|im_start|>"
    end: str = "<|im_end|>"
    system: str = "system"
    user: str = "user"
    assistant: str = "assistant"
    tool: str = "tool"
    tool_instructions: str = TOOL_INSTRUCTIONS
    tool_call_start: str = "<tool_call>"
    tool_call_end: str = "</tool_call>"

    def __post_init__(self) -> None:
        if not self.start or not self.end:
            raise ValueError(f"a template needs both markers, got start {self.start!r} and end {self.end!r}")
        for needed in ("{tools}", self.tool_call_start, self.tool_call_end):
            if not needed or needed not in self.tool_instructions:
                raise ValueError(f"the tool instructions must contain {needed!r}, got {self.tool_instructions!r}")

    def role_name(self, role: Role) -> str:
        match role:
            case Role.SYSTEM:
                return self.system
            case Role.USER:
                return self.user
            case Role.ASSISTANT:
                return self.assistant
            case Role.TOOL:
                return self.tool


class ChatTemplate:
    """A template bound to a tokenizer. Raises `ValueError` where the tokenizer lacks one of its markers."""

    def __init__(self, config: ChatTemplateConfig, tokenizer: TextTokenizer) -> None:
        self.config = config
        self._tokenizer = tokenizer
        self.start_id = tokenizer.special(config.start)
        self.end_id = tokenizer.special(config.end)

    def open_turn(self, role: Role) -> list[int]:
        return [self.start_id, *self.text(f"{self.config.role_name(role)}\n")]

    def text(self, text: str) -> list[int]:
        """One part of a turn."""
        return self._tokenizer.encode(text)

    def close_turn(self) -> list[int]:
        return [self.end_id, *self.text("\n")]

    def turn(self, role: Role, text: str) -> list[int]:
        """A whole turn of plain text."""
        return [*self.open_turn(role), *self.text(text), *self.close_turn()]

    def tool_prompt(self, tools: Sequence[Tool]) -> str:
        """What to add to the system's turn so that the model knows its tools; "" without tools."""
        if not tools:
            return ""
        return self.config.tool_instructions.replace("{tools}", "\n".join(describe_tool(tool) for tool in tools))


def describe_tool(tool: Tool) -> str:
    """One tool on one line of JSON, in the shape that published chat templates use."""
    parameters = json.loads(tool.parameters_json)
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)
