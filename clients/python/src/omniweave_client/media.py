"""Media: the files and devices of one chat, opened before the connection so that a missing one is known at once."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from omniweave_client.devices import Camera, Microphone, Speaker
from omniweave_client.eventlog import EventLog
from omniweave_client.options import ChatOptions
from omniweave_client.pictures import cycle_frames
from omniweave_client.wav import WavWriter


@dataclass(frozen=True, slots=True)
class Media:
    wav: Path | None = None
    frames: Iterator[bytes] | None = None
    frames_per_s: float = 2.0
    microphone: Microphone | None = None
    camera: Camera | None = None
    speaker: Speaker | None = None
    audio_file: WavWriter | None = None
    event_log: EventLog | None = None


def open_media(options: ChatOptions, stack: ExitStack) -> Media:
    """Open what the options name; `stack` closes it again."""
    if options.save_images is not None:
        options.save_images.mkdir(parents=True, exist_ok=True)
    return Media(
        wav=options.wav,
        frames=cycle_frames(options.frames) if options.frames is not None else None,
        frames_per_s=options.frames_per_s,
        microphone=stack.enter_context(closing(Microphone())) if options.microphone else None,
        camera=stack.enter_context(closing(Camera())) if options.camera else None,
        speaker=stack.enter_context(closing(Speaker())) if options.speaker else None,
        audio_file=stack.enter_context(WavWriter(options.save_audio)) if options.save_audio is not None else None,
        event_log=stack.enter_context(EventLog(options.record_events)) if options.record_events is not None else None,
    )
