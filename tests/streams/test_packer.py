"""The packer: order inside a tick, modality positions, source flags, pinning, and rewritten pasts."""

import numpy as np
import pytest

from streams.packer import Packer, Segment, history_ticks
from streams.types import (
    TICK_US,
    Clear,
    CloseTurn,
    Hold,
    Message,
    OpenTurn,
    Pace,
    Respond,
    Rewrite,
    Role,
    Source,
    Stream,
    TickWindow,
    TokenBlock,
    Tool,
    VideoFrame,
)


class BytePerception:
    """A fake: text as UTF-8 bytes, a picture as one feature, sound as one frame of codes."""

    def message(self, message: Message):
        for part in message.parts:
            if isinstance(part, str):
                yield Segment(Stream.TEXT_IN, ids=np.frombuffer(part.encode(), np.uint8).astype(np.int32))
            elif isinstance(part, VideoFrame):
                yield self.frame(part.rgb)
            else:
                yield Segment(Stream.AUDIO_IN, codes=np.ones((2, 4), np.int32))

    def tools(self, tools):
        yield Segment(Stream.TEXT_IN, ids=np.full(len(tools), 9, np.int32))

    def frame(self, rgb):
        return Segment(Stream.IMAGE_IN, features=rgb.reshape(1, -1)[:, :3].astype(np.float32))

    def sound(self, pcm):
        return Segment(Stream.AUDIO_IN, codes=np.full((1, 4), int(pcm[0]), np.int32))

    def turn_opening(self):
        return Segment(Stream.TEXT_IN, ids=np.array([7, 8], np.int32))


PICTURE = VideoFrame(0, np.zeros((2, 2, 3), np.uint8))
SOUND = np.zeros(6000, np.float32)


def said(text: str, tick: int = 0, role: Role = Role.USER) -> Message:
    return Message(tick * TICK_US, role, (text,))


def pack(*windows: TickWindow):
    packer = Packer(BytePerception())
    return [packer.pack(window) for window in windows]


def test_a_tick_is_ordered_text_then_pictures_then_sound():
    (packed,) = pack(TickWindow("s", 3, audio=SOUND, frames=(PICTURE,), commands=(said("hi"),)))
    assert [block.stream for block in packed.blocks] == [Stream.TEXT_IN, Stream.IMAGE_IN, Stream.AUDIO_IN]
    assert all(block.tick == 3 and block.source is Source.RECEIVED for block in packed.blocks)


def test_modality_positions_run_on_per_stream():
    first, second = pack(
        TickWindow("s", 0, audio=SOUND, commands=(said("abc"),)),
        TickWindow("s", 1, audio=SOUND, frames=(PICTURE, PICTURE), commands=(said("d"),)),
    )
    assert [block.position for block in first.blocks] == [0, 0]
    assert [block.position for block in second.blocks] == [3, 0, 1, 1]


def test_an_answer_opens_after_everything_the_tick_brought():
    respond = Respond("r1")
    (packed,) = pack(TickWindow("s", 0, audio=SOUND, commands=(said("hi"), respond)))
    *_, sound, opening, turn = packed.actions
    assert isinstance(sound, TokenBlock)
    assert sound.stream is Stream.AUDIO_IN
    assert isinstance(opening, TokenBlock)
    assert opening.ids is not None
    assert opening.ids.tolist() == [7, 8]
    assert turn == OpenTurn(respond)


def test_holding_closes_what_is_open_before_and_cancels_what_opens_after():
    before, after = pack(
        TickWindow("s", 0, commands=(Hold(), said("x"), Respond("r"))),
        TickWindow("s", 1, commands=(Respond("r2"), Hold())),
    )
    assert before.actions[0] == CloseTurn()
    assert before.actions[-1] == OpenTurn(Respond("r"))
    assert after.actions[-2:] == (OpenTurn(Respond("r2")), CloseTurn())


def test_interleaved_parts_of_a_message_stay_one_sequence():
    (packed,) = pack(TickWindow("s", 0, commands=(Message(0, Role.USER, ("see ", PICTURE, " this")),)))
    assert [block.stream for block in packed.blocks] == [Stream.TEXT_IN, Stream.IMAGE_IN, Stream.TEXT_IN]
    assert [block.position for block in packed.blocks] == [0, 0, 4]


def test_a_rewrite_starts_again_with_a_pinned_prefix():
    first, second = pack(
        TickWindow("s", 0, commands=(said("old"),)),
        TickWindow("s", 9, commands=(Rewrite((said("be kind", role=Role.SYSTEM),), (said("a", 2), said("b", 4))),)),
    )
    assert second.actions[0] == Clear()
    prefix, *history = second.blocks
    assert prefix.pinned
    assert prefix.position == 0
    assert not any(block.pinned for block in history)
    assert [block.tick for block in history] == [2, 4]
    assert first.blocks[0].position == 0


def test_tools_are_pinned_after_the_prefix_and_before_history():
    rewrite = Rewrite((said("be kind"),), (said("a"),), tools=(Tool("look", "", "{}"),))
    (packed,) = pack(TickWindow("s", 0, commands=(rewrite,)))
    assert [block.pinned for block in packed.blocks] == [True, True, False]
    assert packed.blocks[1].ids is not None
    assert packed.blocks[1].ids.tolist() == [9]


def test_pacing_is_passed_on():
    (packed,) = pack(TickWindow("s", 0, commands=(Pace(free=True),)))
    assert packed.actions == (Pace(free=True),)


@pytest.mark.parametrize(
    ("said_ticks", "expected"), [([5, 5, 5], [3, 4, 5]), ([1, 4, 9], [1, 4, 9]), ([99, 99], [9, 10]), ([], [])]
)
def test_history_told_at_once_is_spread_backwards(said_ticks, expected):
    assert history_ticks([said("x", tick) for tick in said_ticks], now_tick=10) == expected
