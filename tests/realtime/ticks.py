"""What may happen in a tick, as hypothesis strategies, and how two such things are compared.

A strategy names every field of its dataclass, so a field that is added later fails here until it is recorded too.
"""

import dataclasses
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from streams.types import (
    AudioChunk,
    Clear,
    CloseTurn,
    Finish,
    Hold,
    Message,
    OpenTurn,
    Pace,
    Respond,
    Rewrite,
    Role,
    Sampling,
    Source,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    Timings,
    TokenBlock,
    Tool,
    ToolCallDelta,
    Usage,
    VideoFrame,
)

SESSION = "sess_1"


def same(a: object, b: object) -> bool:
    """Equal in every field, arrays in type, shape and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        assert isinstance(b, tuple)
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a))
    return a == b


def builds(cls: type, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    assert {field.name for field in dataclasses.fields(cls)} == set(fields), f"{cls.__name__} has other fields"
    return st.builds(cls, **fields)


def tuples(items: st.SearchStrategy[Any], max_size: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=max_size).map(tuple)


ticks = st.integers(0, 10**9)
pts_us = st.integers(0, 10**12)
counts = st.integers(0, 10**6)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)  # a lone surrogate cannot be sent as JSON


def sounds(num_samples: int) -> st.SearchStrategy[Any]:
    """Silence, what 16 bits hold exactly, and what they do not: noise, overshoot, infinities, negative zero."""
    s16 = npst.arrays(np.int16, num_samples, elements=st.integers(-32768, 32767), fill=st.integers(-32768, 32767))
    odd = st.floats(width=32, allow_nan=True, allow_infinity=True)
    return st.one_of(
        st.just(np.zeros(num_samples, np.float32)),
        s16.map(lambda samples: samples.astype(np.float32) / np.float32(32768)),
        npst.arrays(np.float32, num_samples, elements=odd, fill=odd),
    )


def ids(*shape: int) -> st.SearchStrategy[Any]:
    return npst.arrays(np.int32, shape, elements=st.integers(-(2**31), 2**31 - 1))


pixels = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(lambda hw: npst.arrays(np.uint8, (*hw, 3)))
frames = builds(VideoFrame, pts_us=pts_us, rgb=pixels)
chunks = builds(AudioChunk, pts_us=pts_us, pcm=st.integers(0, 20).flatmap(sounds))
messages = builds(
    Message, pts_us=pts_us, role=st.sampled_from(Role), parts=tuples(st.one_of(texts, frames, chunks), max_size=4)
)
samplings = builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_k=counts,
    top_p=st.floats(0, 1, exclude_min=True),
    repetition_penalty=st.floats(1, 2),
)
tools = builds(Tool, name=texts, description=texts, parameters_json=texts)
responds = builds(
    Respond,
    response=texts,
    speak=st.booleans(),
    max_tokens=st.none() | counts,
    sampling=st.none() | samplings,
    tools=tuples(tools),
    tool=st.none() | texts,
)
paces = builds(Pace, free=st.booleans())
rewrites = builds(Rewrite, prefix=tuples(messages, 2), history=tuples(messages, 2), tools=tuples(tools, 2))
commands = st.one_of(messages, rewrites, responds, builds(Hold), paces)

windows = builds(
    TickWindow,
    session=st.just(SESSION),
    tick=ticks,
    audio=st.none() | sounds(6000),
    frames=tuples(frames),
    commands=tuples(commands),
    gap_samples=st.integers(0, 6000),
)


def _block(content: str, array: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        TokenBlock,
        stream=st.sampled_from(Stream),
        source=st.sampled_from(Source),
        tick=ticks,
        position=counts,
        pinned=st.booleans(),
        **{content: array},
    )


shapes = st.tuples(st.integers(0, 4), st.integers(1, 4))
floats = st.floats(width=32)
blocks = st.one_of(
    _block("ids", st.integers(0, 5).flatmap(ids)),
    _block("codes", shapes.flatmap(lambda shape: ids(*shape))),
    _block("features", shapes.flatmap(lambda shape: npst.arrays(np.float32, shape, elements=floats))),
)
actions = st.one_of(blocks, builds(OpenTurn, respond=responds), builds(CloseTurn), builds(Clear), paces)
inputs = builds(TickInput, session=st.just(SESSION), tick=ticks, actions=tuples(actions, 5))

usages = builds(
    Usage, text_in=counts, audio_in=counts, image_in=counts, text_out=counts, audio_out=counts, cached=counts
)
timings = builds(Timings, encode_us=counts, prefill_us=counts, decode_us=counts, codec_us=counts, steps=counts)
outputs = builds(
    TickOutput,
    session=st.just(SESSION),
    tick=ticks,
    done=st.booleans(),
    response=st.none() | texts,
    text=texts,
    tool_calls=tuples(builds(ToolCallDelta, index=counts, name=st.none() | texts, arguments=texts)),
    pcm=st.none() | sounds(6000),
    image=st.none() | pixels,
    ids=st.integers(0, 5).flatmap(ids),
    codes=shapes.flatmap(lambda shape: ids(*shape)),
    finish=st.none() | st.sampled_from(Finish),
    usage=usages,
    evicted=tuples(ticks),
    timings=timings,
)
failures = builds(TickFailure, session=st.just(SESSION), tick=ticks, reason=texts)
