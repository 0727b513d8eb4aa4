"""`TickWindow` as JSON, and back, without loss: what a client sent during one tick.

The sound and the pictures are messages of their own that come before the record, which only says how many are its own
and in which order. Pure functions.
"""

from collections.abc import Iterator

import msgspec

from realtime.recording.format import (
    CommandRecord,
    HoldRecord,
    MessageRecord,
    PaceRecord,
    PicturePart,
    RespondRecord,
    RewriteRecord,
    SoundForm,
    SoundPart,
    TextPart,
    WindowRecord,
    encode_record,
    f32_array,
    f32_bytes,
)
from streams.types import (
    AudioChunk,
    Command,
    Hold,
    Message,
    Pace,
    Part,
    Pixels,
    Respond,
    Rewrite,
    Samples,
    TickWindow,
    VideoFrame,
)

_decoder = msgspec.json.Decoder(WindowRecord)


def messages_in(commands: tuple[Command, ...]) -> Iterator[Message]:
    for command in commands:
        if isinstance(command, Message):
            yield command
        elif isinstance(command, Rewrite):
            yield from command.prefix
            yield from command.history


def pictures_in(commands: tuple[Command, ...]) -> Iterator[VideoFrame]:
    """Every picture of every message, in the order in which the records refer to them."""
    for message in messages_in(commands):
        yield from (part for part in message.parts if isinstance(part, VideoFrame))


def _part_record(part: Part) -> TextPart | PicturePart | SoundPart:
    if isinstance(part, str):
        return TextPart(part)
    if isinstance(part, VideoFrame):
        return PicturePart(part.pts_us)
    return SoundPart(part.pts_us, f32_bytes(part.pcm))


def _message_record(message: Message) -> MessageRecord:
    return MessageRecord(message.pts_us, message.role, [_part_record(part) for part in message.parts])


def _command_record(command: Command) -> CommandRecord:
    match command:
        case Message():
            return _message_record(command)
        case Rewrite(prefix, history, tools):
            return RewriteRecord(
                [_message_record(message) for message in prefix],
                [_message_record(message) for message in history],
                list(tools),
            )
        case Respond():
            return RespondRecord(command)
        case Hold():
            return HoldRecord()
        case Pace(free):
            return PaceRecord(free)


def window_json(window: TickWindow, sound: SoundForm) -> bytes:
    return encode_record(
        WindowRecord(
            tick=window.tick,
            sound=sound,
            sound_f32=f32_bytes(window.audio) if window.audio is not None and sound is SoundForm.F32 else b"",
            gap_samples=window.gap_samples,
            frames_pts_us=[frame.pts_us for frame in window.frames],
            commands=[_command_record(command) for command in window.commands],
        )
    )


def _part(record: TextPart | PicturePart | SoundPart, pictures: Iterator[Pixels]) -> Part:
    match record:
        case TextPart(text):
            return text
        case PicturePart(pts_us):
            return VideoFrame(pts_us, next(pictures))
        case SoundPart(pts_us, f32):
            return AudioChunk(pts_us, f32_array(f32))


def _message(record: MessageRecord, pictures: Iterator[Pixels]) -> Message:
    return Message(record.pts_us, record.role, tuple(_part(part, pictures) for part in record.parts))


def _command(record: CommandRecord, pictures: Iterator[Pixels]) -> Command:
    match record:
        case MessageRecord():
            return _message(record, pictures)
        case RewriteRecord(prefix, history, tools):
            return Rewrite(
                tuple(_message(message, pictures) for message in prefix),
                tuple(_message(message, pictures) for message in history),
                tuple(tools),
            )
        case RespondRecord(respond):
            return respond
        case HoldRecord():
            return Hold()
        case PaceRecord(free):
            return Pace(free)


def read_window_record(data: bytes) -> WindowRecord:
    """The window without its media."""
    return _decoder.decode(data)


def read_window(
    data: bytes, session: str, sound: Samples | None, frames: list[Pixels], pictures: list[Pixels]
) -> TickWindow:
    """`sound`, `frames` and `pictures` are what the media channels held since the window before."""
    record = read_window_record(data)
    if record.sound is SoundForm.F32:
        sound = f32_array(record.sound_f32)
    pixels = iter(pictures)
    return TickWindow(
        session=session,
        tick=record.tick,
        audio=sound,
        frames=tuple(VideoFrame(pts_us, rgb) for pts_us, rgb in zip(record.frames_pts_us, frames, strict=True)),
        commands=tuple(_command(command, pixels) for command in record.commands),
        gap_samples=record.gap_samples,
    )
