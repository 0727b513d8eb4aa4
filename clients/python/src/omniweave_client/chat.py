"""omniweave-chat: a conversation in a terminal, typed, spoken from a file, or live through this machine's devices.

`main` parses, `run` opens everything and closes it again, `Chat` is the conversation: one task shows what comes, one
per medium feeds what is heard and seen, and typed lines become questions.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from typing import TypeAlias

from omniweave_client.connection import connect
from omniweave_client.console import Console, TypedLines
from omniweave_client.devices import Camera
from omniweave_client.errors import ClientError, ServerError, SessionClosed
from omniweave_client.events import AudioDelta, ResponseStatus, SpeechStarted
from omniweave_client.feeds import Pace, feed_frames, feed_microphone, feed_wav
from omniweave_client.media import Media, open_media
from omniweave_client.options import ChatOptions, parse_options
from omniweave_client.session import Session
from omniweave_client.wav import WavError

HELP = """\
Type a line and press Enter to ask.
  /cancel   stop the answer that is running
  /help     show this
  /quit     leave (so does Ctrl-D, and Ctrl-C at any time)"""
WAV_TAIL_S = 1.0  # of silence after a file, in which the server notices the end of its last turn
LINGER_S = 2.0  # in which an answer to that turn may begin
EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130  # 128 + SIGINT, as shells have it

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Feed: TypeAlias = Coroutine[None, None, None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_options(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
    try:
        return asyncio.run(run(options))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return EXIT_INTERRUPTED


async def run(options: ChatOptions, sleep: Sleep = asyncio.sleep) -> int:
    """Open what the options name, talk, close it all. Returns the exit status."""
    interactive = options.say is None and sys.stdin.isatty() and sys.stdout.isatty()
    console = Console(sys.stdout, sys.stderr, interactive, options.save_images)
    lines = TypedLines(sys.stdin.fileno()) if options.say is None else _only(options.say)
    status = EXIT_FAILED
    try:
        with ExitStack() as stack:
            media = open_media(options, stack)
            tap = media.event_log.write if media.event_log is not None else None
            async with connect(options.url, api_key=options.api_key, config=options.config, tap=tap) as session:
                console.note(f"connected to {session.model or options.url}")
                chat = Chat(session, console, media, sleep)
                status = await chat.run(lines, leave_after_lines=options.say is not None)
    except* (ClientError, WavError, OSError, ValueError) as failed:
        for message in dict.fromkeys(str(error) for error in _leaves(failed)):
            console.note(message)
    return status


class Chat:
    def __init__(self, session: Session, console: Console, media: Media, sleep: Sleep) -> None:
        self._session = session
        self._console = console
        self._media = media
        self._sleep = sleep
        self._failed = False

    async def run(self, lines: AsyncIterator[str], leave_after_lines: bool) -> int:
        """Until the lines end, and then, unless told to leave, until what is being heard has ended too."""
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(feed) for feed in self._hearing()]
            others = [group.create_task(self._listen()), *(group.create_task(feed) for feed in self._seeing())]
            stay = await self._converse(lines, group)
            if stay and not leave_after_lines:
                await asyncio.gather(*hearing)
                await self._until_last_turn_answered()
            for task in (*hearing, *others):
                task.cancel()
        return EXIT_FAILED if self._failed else EXIT_OK

    def _hearing(self) -> Iterator[Feed]:
        if self._media.wav is not None:
            yield feed_wav(self._session, self._media.wav, Pace(sleep=self._sleep), WAV_TAIL_S)
        if self._media.microphone is not None:
            yield feed_microphone(self._session, self._media.microphone)

    def _seeing(self) -> Iterator[Feed]:
        pace = Pace(sleep=self._sleep)
        if self._media.frames is not None:
            yield feed_frames(self._session, self._media.frames, self._media.frames_per_s, pace)
        if self._media.camera is not None:
            yield self._feed_camera(self._media.camera, pace)

    async def _feed_camera(self, camera: Camera, pace: Pace) -> None:
        number = 0
        while True:
            await pace.until(number / self._media.frames_per_s)
            await self._session.send_frame(await asyncio.to_thread(camera.read))
            number += 1

    # --- what comes ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for event in self._session:
            if isinstance(event, AudioDelta):
                if self._media.speaker is not None:
                    self._media.speaker.play(event.pcm)
                if self._media.audio_file is not None:
                    self._media.audio_file.write(event.pcm)
            elif isinstance(event, SpeechStarted):
                self._hush()
            await self._console.show(event)
        raise SessionClosed("the server ended the session")

    def _hush(self) -> None:
        """The user interrupts: nothing more of the answer should be heard."""
        if self._media.speaker is not None and self._session.config.voice_turns:
            self._media.speaker.clear()

    # --- what is typed ------------------------------------------------------------------------------------------

    async def _converse(self, lines: AsyncIterator[str], group: asyncio.TaskGroup) -> bool:
        """Returns False if the user left, True if the lines just ended."""
        questions: list[asyncio.Task[None]] = []
        self._console.prompt()
        async for line in lines:
            text = line.strip()
            if text == "/quit":
                for question in questions:
                    question.cancel()
                return False
            if text.startswith("/"):
                await self._obey(text)
            elif text:
                questions = [question for question in questions if not question.done()]
                questions.append(group.create_task(self._ask(text)))
                if not self._console.interactive:
                    await questions[-1]
            if all(question.done() for question in questions):
                self._console.prompt()
        await asyncio.gather(*questions)
        return True

    async def _obey(self, command: str) -> None:
        if command == "/help":
            self._console.explain(HELP)
        elif command != "/cancel":
            self._console.note(f"unknown command {command}; /help lists them")
        elif self._session.is_answering:
            await self._session.cancel()
        else:
            self._console.note("no answer is running")

    async def _ask(self, text: str) -> None:
        try:
            answer = await self._session.answer(text)
        except ServerError:
            self._failed = True  # the error came as an event too, and was shown
        else:
            self._failed = self._failed or answer.status is ResponseStatus.FAILED
            await self._console.until_shown(answer.response_id)
            self._console.note_timing(answer)
        self._console.prompt()

    async def _until_last_turn_answered(self) -> None:
        if self._media.wav is not None and self._session.config.voice_turns:
            await self._sleep(LINGER_S)
            await self._session.until_idle()


async def _only(line: str) -> AsyncIterator[str]:
    yield line


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
