"""A user in a live session: what is said, typed and shown goes in as a client sends it, a `Moment` a tick comes out.

The session is the server's own and takes frames of text as from a socket; the engine is stepped as the server steps it,
one tick after another in model time. Never waits, and reads no clock unless it is given one.
"""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import msgspec
import numpy as np

from model.training.evaluation.microphone import Microphone
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.pictures import in_front_of_camera
from model.training.simulation.script import Picture
from model.training.simulation.session import CAMERA_SHAKE_PX, CAMERA_SIDE_PX
from realtime.engine import Engine
from realtime.protocol.ids import Ids
from realtime.scheduler import Demand
from realtime.session.session import Session
from realtime.session.setup import SessionSetup
from realtime.session.vad import Silero, VoiceActivity
from streams.resample import float_to_pcm16, pcm16_to_float
from streams.types import SAMPLES_PER_TICK, TICK_US, Pixels, Samples, TickFailure
from streams.video import decode_data_url, decode_image, encode_jpeg

JPEG_QUALITY = 75  # of our own page's camera
MAX_IMAGE_BYTES = 1 << 22
NEVER = 4_000_000_000  # unix seconds: these sessions do not expire
TEXT_EVENTS = frozenset({"response.output_text.delta", "response.output_audio_transcript.delta"})


class LostSession(Exception):
    """The engine gave the session up, or the session refused what a client may send."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One tick of a session as its client saw it. `user_speaks`: when the tick ended.

    `pcm` is what of the agent's voice was made in this tick, to be heard in the next.
    """

    tick: int
    user_speaks: bool
    text: str = ""
    pcm: Samples | None = None
    image: Pixels | None = None

    @property
    def says(self) -> bool:
        return bool(self.text) or self.pcm is not None or self.image is not None


class Camera:
    """A picture that is held up by hand: frames of it, none while there is nothing to see."""

    def __init__(self, book: EmojiBook | None, random: np.random.Generator) -> None:
        self._book = book
        self._random = random
        self._scene: Pixels | None = None

    def show(self, picture: Picture | None) -> None:
        """From the next frame on. Raises ValueError for an emoji without a book."""
        side = CAMERA_SIDE_PX + CAMERA_SHAKE_PX
        self._scene = None if picture is None else in_front_of_camera(picture, side, self._random, self._book)

    def frame(self) -> Pixels | None:
        if self._scene is None:
            return None
        y, x = self._random.integers(0, CAMERA_SHAKE_PX + 1, 2)
        return np.ascontiguousarray(self._scene[y : y + CAMERA_SIDE_PX, x : x + CAMERA_SIDE_PX])


class LiveUser:
    """One session, from its greeting to `close`. `microphone` None: it is closed, and the agent answers in writing.

    `clock_ns` is read around each tick's encode and step, and `tick_ns` keeps the differences.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        camera: Camera,
        microphone: Microphone | None = None,
        make_activity: Callable[[], VoiceActivity] = Silero,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        self._engine = engine
        self._camera = camera
        self.microphone = microphone
        self._clock_ns = clock_ns
        self.tick_ns: list[int] = []
        self.lost = ""  # why the session is over, if it is
        self._now_us = 0
        self._tick = 0
        self._open: set[str] = set()  # responses that have begun and not ended
        self._session = Session(
            SessionSetup(
                name=name,
                info=engine.info,
                ids=Ids(random.Random(name)),
                now_us=lambda: self._now_us,
                expires_at=NEVER,
                make_activity=make_activity,
            )
        )
        engine.open(name, seed=random.Random(name).getrandbits(63))
        self._session.start()
        outputs = ["text", "audio", "image"] if microphone is not None else ["text", "image"]
        detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        self._send(
            type="session.update",
            session={
                "type": "realtime",
                "audio": {"input": {"turn_detection": detection}},
                "omniweave": {"outputs": outputs, "video": True, "ticks": True},
            },
        )

    @property
    def is_answered(self) -> bool:
        """Whether no response is open."""
        return not self._open

    def close(self) -> None:
        """Give the slot back."""
        self._engine.close(self._session.name)

    # --- what the user does ------------------------------------------------------------------------------------------

    def show(self, picture: Picture | None) -> None:
        """Hold a picture to the camera, or put it away."""
        self._camera.show(picture)

    def type(self, text: str) -> None:
        """A typed message, and a request to answer it instead of whatever is being said."""
        self.give_up()
        content = [{"type": "input_text", "text": text}]
        self._send(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self._send(type="response.create")

    def give_up(self) -> None:
        """Wait no longer for what is still open."""
        for response in sorted(self._open):
            self._send(type="response.cancel", response_id=response)

    def tick(self) -> Moment:
        """A quarter of a second. Raises `LostSession`, and does nothing else once the session is `lost`."""
        if self.lost:
            raise LostSession(self.lost)
        user_speaks = False
        if self.microphone is not None:
            user_speaks = self.microphone.speaks_at_end_of(self.microphone.tick)
            sound = float_to_pcm16(self.microphone.take()).tobytes()
            self._send(type="input_audio_buffer.append", audio=base64.b64encode(sound).decode())
        frame = self._camera.frame()
        if frame is not None:
            image = base64.b64encode(encode_jpeg(frame, JPEG_QUALITY)).decode()
            self._send(type="omniweave.video.append", image=image)
        if self._session.demand() is not Demand.IDLE:
            self._step()
        moment = self._read(user_speaks)
        if moment.pcm is not None and self.microphone is not None:
            self.microphone.play(moment.pcm)
        self._tick += 1
        self._now_us += TICK_US
        return moment

    def _send(self, **event: object) -> None:
        self._session.receive_frame(json.dumps(event))

    # --- as the server does it ---------------------------------------------------------------------------------------

    def _step(self) -> None:
        window = self._session.take_window()
        started_ns = self._clock_ns() if self._clock_ns is not None else 0
        (tick_input,) = self._engine.encode([window])
        if isinstance(tick_input, TickFailure):
            self._fail(tick_input)
        self._session.note_input(tick_input)
        for output in self._engine.step([tick_input]):
            if isinstance(output, TickFailure):
                self._fail(output)
            self._session.deliver(output)
        if self._clock_ns is not None:
            self.tick_ns.append(self._clock_ns() - started_ns)

    def _fail(self, failure: TickFailure) -> NoReturn:
        self._session.fail(failure)
        self.lost = failure.reason or "the engine failed"
        raise LostSession(self.lost)

    def _read(self, user_speaks: bool) -> Moment:
        """Everything that the session has for its client."""
        text, sound, image = "", b"", None
        while (outgoing := self._session.outbox.pop()) is not None:
            event = msgspec.json.decode(outgoing.frame)
            kind = event["type"]
            if kind in TEXT_EVENTS:
                text += event["delta"]
            elif kind == "response.output_audio.delta":
                sound += base64.b64decode(event["delta"])
            elif kind == "omniweave.image.done":
                image = decode_image(decode_data_url(event["image_url"], MAX_IMAGE_BYTES))
            elif kind == "response.created":
                self._open.add(event["response"]["id"])
            elif kind == "response.done":
                self._open.discard(event["response"]["id"])
            elif kind == "error":
                raise LostSession(event["error"]["message"])
        if self._session.closing is not None:
            self.lost = self._session.closing.message or "the session closed"
            raise LostSession(self.lost)
        pcm = pcm16_to_float(np.frombuffer(sound, np.int16)) if sound else None
        assert pcm is None or len(pcm) <= 2 * SAMPLES_PER_TICK, "a frame a tick"
        return Moment(self._tick, user_speaks, text, pcm, image)
