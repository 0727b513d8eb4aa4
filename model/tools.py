"""Function calls that are always valid: the frame of a call is written for the model, the values it chooses itself.

A call is a script of directives: literal text, one of several texts, or a free value of a simple type, chosen token
by token under a mask. A small model that never saw a tool can so be made to call one, and any model's arguments parse
and fit their JSON Schema: types, enums, required properties, nested objects and arrays, nothing beyond that.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from model.tokenizers.text import TextTokenizer
from streams.types import Tool, ToolCallDelta

CALL_START = "<tool_call>"
CALL_END = "</tool_call>"
MAX_STRING_TOKENS = 48
MAX_NUMBER_TOKENS = 12
MAX_ARRAY_ITEMS = 8
MAX_SCHEMA_DEPTH = 6


class ValueKind(Enum):
    """What a free value may consist of."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is written without choosing."""

    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Exactly one of these texts; none may begin another."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Free:
    """A value of the model's own: a JSON string's inside and its closing quote, or a number."""

    kind: ValueKind


Directive = Literal | Choice | Free
Script = Generator[Directive, str, None]


def call_script(tools: Sequence[Tool]) -> Script:
    """One call of one of `tools`. Is sent the text of each directive as it is complete."""
    yield Literal(f'{CALL_START}{{"name": "')
    if len(tools) == 1:
        name = tools[0].name
        yield Literal(f'{name}"')
    else:
        name = (yield Choice(tuple(f'{tool.name}"' for tool in tools))).removesuffix('"')
    tool = next(tool for tool in tools if tool.name == name)
    yield Literal(', "arguments": ')
    yield from _value(_schema_of(tool), depth=0)
    yield Literal(f"}}{CALL_END}")


def _schema_of(tool: Tool) -> dict[str, Any]:
    schema = json.loads(tool.parameters_json) if tool.parameters_json else {}
    return schema if isinstance(schema, dict) else {}


def _value(schema: dict[str, Any], depth: int) -> Script:
    options = schema.get("enum")
    if isinstance(options, list) and options:
        texts = tuple(dict.fromkeys(json.dumps(option) for option in options))
        yield Literal(texts[0]) if len(texts) == 1 else Choice(texts)
        return
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or (kind is None and (depth == 0 or "properties" in schema)):
        yield from _object(schema, depth)
    elif kind == "array" and depth < MAX_SCHEMA_DEPTH:
        yield from _array(schema, depth)
    elif kind == "boolean":
        yield Choice(("true", "false"))
    elif kind == "null" or depth >= MAX_SCHEMA_DEPTH:
        yield Literal("null")
    elif kind in ("integer", "number"):
        yield Free(ValueKind(kind))
    else:
        yield Literal('"')
        yield Free(ValueKind.STRING)


def _object(schema: dict[str, Any], depth: int) -> Script:
    """All required properties in their order, or all of them where none is required."""
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) and depth < MAX_SCHEMA_DEPTH else {}
    required = schema.get("required")
    names = [name for name in properties if isinstance(required, list) and name in required] or list(properties)
    opening = "{"
    for name in names:
        yield Literal(f"{opening}{json.dumps(name)}: ")
        part = properties[name]
        yield from _value(part if isinstance(part, dict) else {}, depth + 1)
        opening = ", "
    yield Literal("}" if names else "{}")


def _array(schema: dict[str, Any], depth: int) -> Script:
    items = schema.get("items")
    items = items if isinstance(items, dict) else {}
    yield Literal("[")
    for index in range(MAX_ARRAY_ITEMS):
        yield from _value(items, depth + 1)
        if index == MAX_ARRAY_ITEMS - 1 or (yield Choice((", ", "]"))) == "]":
            break
    if index == MAX_ARRAY_ITEMS - 1:
        yield Literal("]")


class TokenClasses:
    """Which text ids may stand in a free value. Built once per tokenizer."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        texts = [tokenizer.token_bytes(index).decode(errors="replace") for index in range(tokenizer.vocab_size)]
        self.string = torch.tensor([_in_string(text) for text in texts])
        self.digit = torch.tensor([len(text) == 1 and text in "0123456789" for text in texts])
        self.quote = _only(tokenizer, '"')
        self.minus = _only(tokenizer, "-")
        self.point = _only(tokenizer, ".")
        self.stops = torch.tensor([_only(tokenizer, text) for text in (",", "}", "]")])


def _in_string(text: str) -> bool:
    return (
        bool(text) and "\N{REPLACEMENT CHARACTER}" not in text and json.dumps(text, ensure_ascii=False) == f'"{text}"'
    )


def _only(tokenizer: TextTokenizer, text: str) -> int:
    ids = tokenizer.encode(text)
    if len(ids) != 1:
        raise ValueError(f"the text tokenizer has no token of its own for {text!r}, which function calls need")
    return ids[0]


class CallGuide:
    """Walks one call: `forced` ids to append, a `mask` for the next draw, and `push` for what was drawn."""

    def __init__(self, index: int, tools: Sequence[Tool], tokenizer: TextTokenizer, classes: TokenClasses) -> None:
        self._index = index
        self._tokenizer = tokenizer
        self._classes = classes
        self._script = call_script(tools)
        self._directive: Directive | None = next(self._script)
        self._ids: list[int] = []  # of the directive so far
        self._text = ""  # of the whole call so far
        self._name_sent = False
        self._arguments_sent = 0

    @property
    def done(self) -> bool:
        return self._directive is None

    def skip_start(self) -> None:
        """The model wrote `CALL_START` itself."""
        assert isinstance(self._directive, Literal)
        self._directive = Literal(self._directive.text.removeprefix(CALL_START))

    def forced(self) -> list[int]:
        """Ids to append before anything is drawn; the script moves past them."""
        ids: list[int] = []
        while isinstance(self._directive, Literal):
            ids += self._tokenizer.encode(self._directive.text)
            self._advance(self._directive.text)
        return ids

    def mask(self, vocab_size: int) -> Tensor:
        """Bool [vocab_size]: what may be drawn next."""
        mask = torch.zeros(vocab_size, dtype=torch.bool)
        match self._directive:
            case Choice():
                mask[[ids[len(self._ids)] for ids in self._open_options()]] = True
            case Free(ValueKind.STRING):
                if len(self._ids) < MAX_STRING_TOKENS:
                    mask[: len(self._classes.string)] = self._classes.string
                mask[self._classes.quote] = True
            case Free(kind):
                self._mask_number(mask, kind)
            case _:
                raise AssertionError(f"nothing to draw at {self._directive}")
        return mask

    def push(self, drawn: int) -> bool:
        """Take a drawn id. False where it only ended a number and is not itself part of the call."""
        match self._directive:
            case Choice():
                self._ids.append(drawn)
                complete = [ids for ids in self._open_options() if len(ids) == len(self._ids)]
                if complete:
                    self._advance(self._tokenizer.decode(complete[0]))
            case Free(ValueKind.STRING):
                self._ids.append(drawn)
                if drawn == self._classes.quote:
                    self._advance(self._tokenizer.decode(self._ids))
            case Free():
                if drawn in self._classes.stops:
                    self._advance(self._tokenizer.decode(self._ids))
                    return False
                self._ids.append(drawn)
            case _:
                raise AssertionError(f"nothing was to be drawn at {self._directive}")
        return True

    def take(self) -> list[ToolCallDelta]:
        """What became known of the call since the last time."""
        head, separator, arguments = self._text.partition(', "arguments": ')
        if not separator:
            return []
        arguments = arguments.removesuffix(f"}}{CALL_END}")
        name = None
        if not self._name_sent:
            name = head.partition('"name": "')[2].removesuffix('"')
            self._name_sent = True
        fresh = arguments[self._arguments_sent :]
        self._arguments_sent = len(arguments)
        return [ToolCallDelta(self._index, name, fresh)] if name is not None or fresh else []

    def _advance(self, text: str) -> None:
        self._text += text
        self._ids = []
        try:
            self._directive = self._script.send(text)
        except StopIteration:
            self._directive = None

    def _open_options(self) -> list[list[int]]:
        assert isinstance(self._directive, Choice)
        options = [self._tokenizer.encode(option) for option in self._directive.options]
        return [ids for ids in options if ids[: len(self._ids)] == self._ids]

    def _mask_number(self, mask: Tensor, kind: ValueKind) -> None:
        has_digit = any(bool(self._classes.digit[drawn]) for drawn in self._ids)
        if len(self._ids) < MAX_NUMBER_TOKENS:
            leading_zero = self._tokenizer.decode(self._ids) in ("0", "-0")
            if not leading_zero:
                mask[: len(self._classes.digit)] = self._classes.digit
            if not self._ids:
                mask[self._classes.minus] = True
            if kind is ValueKind.NUMBER and has_digit and self._classes.point not in self._ids:
                mask[self._classes.point] = True
        if has_digit and self._ids[-1] != self._classes.point:
            mask[self._classes.stops] = True
