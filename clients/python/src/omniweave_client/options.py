"""The command line of `omniweave-chat`: arguments in, `ChatOptions` out. Opens nothing."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omniweave_client.config import Output, SessionConfig
from omniweave_client.connection import DEFAULT_URL

API_KEY_VARIABLE = "OMNIWEAVE_API_KEY"
MIN_FRAMES_PER_S, MAX_FRAMES_PER_S = 1.0, 4.0


@dataclass(frozen=True, slots=True)
class ChatOptions:
    url: str
    api_key: str | None
    say: str | None
    wav: Path | None
    frames: Path | None
    frames_per_s: float
    microphone: bool
    speaker: bool
    camera: bool
    save_audio: Path | None
    save_images: Path | None
    record_events: Path | None
    config: SessionConfig

    @property
    def hears(self) -> bool:
        return self.microphone or self.wav is not None


def parse_options(arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ) -> ChatOptions:
    """Exits with a message, as argparse does, where the arguments make no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.frames is not None and given.camera:
        parser.error("--frames and --camera both send video; choose one")
    if given.wav is not None and given.mic:
        parser.error("--wav and --mic both speak; choose one")
    for path in (given.wav, given.frames):
        if path is not None and not path.exists():
            parser.error(f"{path} does not exist")
    if not MIN_FRAMES_PER_S <= given.fps <= MAX_FRAMES_PER_S:
        parser.error(f"--fps must be in [{MIN_FRAMES_PER_S:g}, {MAX_FRAMES_PER_S:g}], got {given.fps:g}")
    try:
        config = SessionConfig(
            outputs=_outputs(given),
            instructions=given.instructions,
            voice=given.voice,
            voice_turns=given.voice_turns,
            max_output_tokens=given.max_tokens,
            video=given.frames is not None or given.camera,
            ticks=given.ticks,
        )
    except ValueError as error:
        parser.error(str(error))
    return ChatOptions(
        url=given.url,
        api_key=given.api_key or environment.get(API_KEY_VARIABLE) or None,
        say=given.say,
        wav=given.wav,
        frames=given.frames,
        frames_per_s=given.fps,
        microphone=given.mic,
        speaker=given.speaker,
        camera=given.camera,
        save_audio=given.save_audio,
        save_images=given.save_images,
        record_events=given.record_events,
        config=config,
    )


def _outputs(given: argparse.Namespace) -> tuple[Output, ...]:
    """What was asked for, else sound if something takes it, else text."""
    if given.outputs is not None:
        return tuple(Output(name) for name in given.outputs)
    return (Output.AUDIO,) if given.speaker or given.save_audio is not None else (Output.TEXT,)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omniweave-chat",
        description="Talk to an OmniWeave Realtime server from a terminal. Type a line to ask; /help lists commands.",
    )
    add = parser.add_argument
    add("url", nargs="?", default=DEFAULT_URL, help=f"address of the server (default {DEFAULT_URL})")
    add("--api-key", help=f"key of the server (default: the variable {API_KEY_VARIABLE})")
    add("--instructions", help="how the assistant should behave")
    add("--voice", help="voice of spoken answers")
    add("--max-tokens", type=int, help="the most tokens an answer may have")
    add("--outputs", nargs="+", choices=[str(output) for output in Output], help="what answers are made of")
    add("--voice-turns", action="store_true", help="answer speech when it ends, and stop when it begins")
    add("--ticks", action="store_true", help="ask for tick numbers; they show in --record-events")
    add("--say", metavar="TEXT", help="ask this one question and leave")
    add("--wav", type=Path, metavar="FILE", help="stream a PCM WAV file in real time, as if spoken")
    add("--frames", type=Path, metavar="PATH", help="stream a picture, or a folder of them in turn, as video")
    add("--fps", type=float, default=2.0, help="frames a second, 1 to 4 (default 2)")
    add("--mic", action="store_true", help="stream the microphone")
    add("--speaker", action="store_true", help="play spoken answers")
    add("--camera", action="store_true", help="stream the camera")
    add("--save-audio", type=Path, metavar="FILE", help="write spoken answers to a WAV file")
    add("--save-images", type=Path, metavar="DIR", help="write drawn pictures to this folder")
    add("--record-events", type=Path, metavar="FILE", help="write every event, without media, as JSON lines")
    return parser
