"""Function calls under a guide: whatever is drawn, the arguments parse and fit their schema."""

import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokenizers.text import ByteTokenizer
from model.tools import CALL_END, CALL_START, MAX_ARRAY_ITEMS, CallGuide, TokenClasses
from streams.types import Tool

TOKENIZER = ByteTokenizer()
CLASSES = TokenClasses(TOKENIZER)
VOCAB = TOKENIZER.vocab_size


def tool(schema: dict, name: str = "act") -> Tool:
    return Tool(name, "", json.dumps(schema))


def drawn_call(tools: tuple[Tool, ...], seed: int) -> tuple[str, str, str]:
    """The whole text of a call whose every choice is random, its name and its arguments."""
    guide = CallGuide(0, tools, TOKENIZER, CLASSES)
    pick = random.Random(seed)
    ids, names, arguments = guide.forced(), [], ""
    for _ in range(5000):
        for delta in guide.take():
            names += [delta.name] if delta.name else []
            arguments += delta.arguments
        if guide.done:
            break
        drawn = pick.choice(torch.nonzero(guide.mask(VOCAB)).flatten().tolist())
        ids += [drawn] if guide.push(drawn) else []
        ids += guide.forced()
    assert guide.done
    (name,) = names
    return TOKENIZER.decode(ids), name, arguments


def object_of(value: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    names = st.text('abcdé "\\', min_size=1, max_size=4)
    properties = st.dictionaries(names, value, max_size=3)
    return properties.map(lambda p: {"type": "object", "properties": p, "required": list(p)})


leaf = st.sampled_from(
    [{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]
    + [{"enum": ["a", "ab", 'say "hi"']}, {"enum": [1, 2.5, None, True]}, {}]
)
schemas = object_of(
    st.recursive(
        leaf, lambda inner: object_of(inner) | inner.map(lambda items: {"type": "array", "items": items}), max_leaves=6
    )
)
PYTHON_TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}


def fits(value: object, schema: dict) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    if schema.get("type") == "object":
        return isinstance(value, dict) and all(fits(value[name], part) for name, part in schema["properties"].items())
    if schema.get("type") == "array":
        return (
            isinstance(value, list)
            and 1 <= len(value) <= MAX_ARRAY_ITEMS
            and all(fits(item, schema["items"]) for item in value)
        )
    return isinstance(value, PYTHON_TYPES[schema.get("type", "string")])


@settings(max_examples=60, deadline=None)
@given(schemas, st.integers(0, 1000))
def test_arguments_fit_their_schema_whatever_is_drawn(schema, seed):
    text, name, arguments = drawn_call((tool(schema),), seed)
    assert name == "act"
    assert fits(json.loads(arguments), schema)
    assert text.startswith(CALL_START)
    assert text.endswith(CALL_END)
    assert json.loads(text.removeprefix(CALL_START).removesuffix(CALL_END))["arguments"] == json.loads(arguments)


@given(st.integers(0, 100))
def test_a_name_is_one_of_those_offered(seed):
    _, name, arguments = drawn_call((tool({}, "get"), tool({}, "get_weather"), tool({}, "go")), seed)
    assert name in ("get", "get_weather", "go")
    assert arguments == "{}"


def test_optional_properties_are_left_out_where_some_are_required():
    schema = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["b"]}
    assert json.loads(drawn_call((tool(schema),), 0)[2]) == {"b": None}


def test_a_schema_that_nests_without_end_is_cut():
    schema: dict = {"type": "object", "properties": {}}
    inner = schema
    for _ in range(30):
        inner["properties"]["x"] = {"type": "object", "properties": {}}
        inner = inner["properties"]["x"]
    json.loads(drawn_call((tool(schema),), 0)[2])


@pytest.mark.parametrize("parameters", ["", "[]", "3", '{"type": "object", "properties": [1]}', '{"type": ["string"]}'])
def test_odd_schemas_still_give_a_valid_call(parameters):
    json.loads(drawn_call((Tool("act", "", parameters),), 0)[2])


def test_strings_never_hold_a_bare_quote_or_control_character():
    allowed = torch.nonzero(CLASSES.string).flatten().tolist()
    assert not {ord('"'), ord("\\"), ord("\n"), 0} & set(allowed)
    assert ord("a") in allowed
