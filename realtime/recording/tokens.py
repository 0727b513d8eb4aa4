"""`TickInput`, `TickOutput` and `TickFailure` as JSON, and back, without loss: what a tick fed to the engine and got.

Sound, pictures and timings of an output are messages of their own that come before its record. Pure functions.

Shape legend: N positions, K codebooks, D features.
"""

import msgspec
import numpy as np

from realtime.recording.format import (
    ActionRecord,
    BlockRecord,
    ClearRecord,
    CloseTurnRecord,
    FailureRecord,
    InputRecord,
    OpenTurnRecord,
    OutputRecord,
    PaceRecord,
    SoundForm,
    TimingsRecord,
    encode_record,
    f32_array,
    f32_bytes,
)
from streams.types import (
    Action,
    Clear,
    CloseTurn,
    Ids,
    OpenTurn,
    Pace,
    Pixels,
    Samples,
    Source,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    Timings,
    TokenBlock,
)

_input_decoder = msgspec.json.Decoder(InputRecord)
_output_decoder = msgspec.json.Decoder(OutputRecord)
_timings_decoder = msgspec.json.Decoder(TimingsRecord)
_failure_decoder = msgspec.json.Decoder(FailureRecord)


def _ids(values: list[int]) -> Ids:
    return np.array(values, dtype=np.int32)


def _codes(values: list[int], num_codebooks: int) -> Ids:
    return _ids(values).reshape(-1, num_codebooks)


# --- inputs ---------------------------------------------------------------------------------------------------------


def _action_record(action: Action) -> ActionRecord:
    match action:
        case TokenBlock():
            codes, features = action.codes, action.features
            return BlockRecord(
                stream=action.stream.name.lower(),
                source=action.source.name.lower(),
                tick=action.tick,
                position=action.position,
                ids=None if action.ids is None else action.ids.tolist(),
                codes=None if codes is None else codes.ravel().tolist(),
                num_codebooks=0 if codes is None else codes.shape[1],
                features_f32=None if features is None else f32_bytes(features),
                num_features=0 if features is None else features.shape[1],
                pinned=action.pinned,
            )
        case OpenTurn(respond):
            return OpenTurnRecord(respond)
        case CloseTurn():
            return CloseTurnRecord()
        case Clear():
            return ClearRecord()
        case Pace(free):
            return PaceRecord(free)


def input_json(tick_input: TickInput) -> bytes:
    return encode_record(InputRecord(tick_input.tick, [_action_record(action) for action in tick_input.actions]))


def _action(record: ActionRecord) -> Action:
    match record:
        case BlockRecord():
            features = record.features_f32
            return TokenBlock(
                stream=Stream[record.stream.upper()],
                source=Source[record.source.upper()],
                tick=record.tick,
                position=record.position,
                ids=None if record.ids is None else _ids(record.ids),
                codes=None if record.codes is None else _codes(record.codes, record.num_codebooks),
                features=None if features is None else f32_array(features).reshape(-1, record.num_features),
                pinned=record.pinned,
            )
        case OpenTurnRecord(respond):
            return OpenTurn(respond)
        case CloseTurnRecord():
            return CloseTurn()
        case ClearRecord():
            return Clear()
        case PaceRecord(free):
            return Pace(free)


def read_input(data: bytes, session: str) -> TickInput:
    record = _input_decoder.decode(data)
    return TickInput(session, record.tick, tuple(_action(action) for action in record.actions))


# --- outputs --------------------------------------------------------------------------------------------------------


def output_json(output: TickOutput, sound: SoundForm) -> bytes:
    return encode_record(
        OutputRecord(
            tick=output.tick,
            done=output.done,
            response=output.response,
            text=output.text,
            tool_calls=list(output.tool_calls),
            sound=sound,
            sound_f32=f32_bytes(output.pcm) if output.pcm is not None and sound is SoundForm.F32 else b"",
            has_image=output.image is not None,
            ids=output.ids.tolist(),
            codes=output.codes.ravel().tolist(),
            num_codebooks=output.codes.shape[1],
            finish=output.finish,
            usage=output.usage,
            evicted=list(output.evicted),
        )
    )


def read_output(data: bytes, session: str, sound: Samples | None, image: Pixels | None, timings: Timings) -> TickOutput:
    """`sound`, `image` and `timings` are what their channels held since the output before."""
    record = _output_decoder.decode(data)
    if record.sound is SoundForm.F32:
        sound = f32_array(record.sound_f32)
    return TickOutput(
        session=session,
        tick=record.tick,
        done=record.done,
        response=record.response,
        text=record.text,
        tool_calls=tuple(record.tool_calls),
        pcm=sound,
        image=image,
        ids=_ids(record.ids),
        codes=_codes(record.codes, record.num_codebooks),
        finish=record.finish,
        usage=record.usage,
        evicted=tuple(record.evicted),
        timings=timings,
    )


def timings_json(tick: int, timings: Timings) -> bytes:
    return encode_record(
        TimingsRecord(tick, timings.encode_us, timings.prefill_us, timings.decode_us, timings.codec_us, timings.steps)
    )


def read_timings(data: bytes) -> Timings:
    record = _timings_decoder.decode(data)
    return Timings(record.encode_us, record.prefill_us, record.decode_us, record.codec_us, record.steps)


def failure_json(failure: TickFailure) -> bytes:
    return encode_record(FailureRecord(failure.tick, failure.reason))


def read_failure(data: bytes, session: str) -> TickFailure:
    record = _failure_decoder.decode(data)
    return TickFailure(session, record.tick, record.reason)
