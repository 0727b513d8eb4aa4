"""Microphone, speaker and camera of this machine, through PyAudio and OpenCV (`omniweave-client[devices]`).

Both libraries are loaded when a device is opened, never before. Every failure is a `DeviceError` that says what is
missing. There is no echo cancellation: with microphone and speaker both open, wear headphones.
"""

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

from omniweave_client.errors import DeviceError
from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples, decode_pcm16, encode_pcm16
from omniweave_client.resample import Resampler

BLOCKS_PER_S = 10
MAX_HEARD_BLOCKS = 50  # five seconds; a network that is slower than that loses the oldest sound
MAX_PLAYING_S = 300  # answers may come much faster than they are spoken
JPEG_QUALITY = 85


def _load(module: str, device: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DeviceError(f"the {device} needs {package}: pip install 'omniweave-client[devices]' ({error})") from None


class Microphone:
    """The default input, as an async iterator of float32 blocks at 24 kHz. Open it inside a running loop."""

    def __init__(self) -> None:
        self.dropped_blocks = 0
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[bytes] = asyncio.Queue(MAX_HEARD_BLOCKS)
        pyaudio = _load("pyaudio", "microphone", "PyAudio")
        self._continue: int = pyaudio.paContinue
        self._audio = pyaudio.PyAudio()
        try:
            device = self._audio.get_default_input_device_info()
            wanted = {"input_device": device["index"], "input_channels": 1, "input_format": pyaudio.paInt16}
            rate_hz = _usable_rate(self._audio, device, wanted)
            self._resampler = Resampler(rate_hz)
            self._stream = self._audio.open(
                format=pyaudio.paInt16,
                channels=1,
                rate=rate_hz,
                input=True,
                frames_per_buffer=rate_hz // BLOCKS_PER_S,
                stream_callback=self._hear,
            )
        except OSError as error:
            self._audio.terminate()
            raise DeviceError(f"no microphone can be opened: {_reason(error)}") from None

    def _hear(self, data: bytes, num_frames: int, timing: object, status: int) -> tuple[None, int]:
        """Called by PortAudio on its own thread."""
        self._loop.call_soon_threadsafe(self._keep, data)
        return None, self._continue

    def _keep(self, data: bytes) -> None:
        if self._heard.full():
            self._heard.get_nowait()
            self.dropped_blocks += 1
        self._heard.put_nowait(data)

    def __aiter__(self) -> AsyncIterator[Samples]:
        return self

    async def __anext__(self) -> Samples:
        return self._resampler.push(decode_pcm16(await self._heard.get()))

    def close(self) -> None:
        self._stream.close()
        self._audio.terminate()


class Speaker:
    """The default output. `play` queues sound, `clear` forgets what was not heard yet."""

    def __init__(self) -> None:
        self.dropped_samples = 0
        self._waiting = bytearray()  # 16-bit sound at the device's rate
        self._lock = threading.Lock()  # PortAudio takes from another thread
        pyaudio = _load("pyaudio", "speaker", "PyAudio")
        self._continue: int = pyaudio.paContinue
        self._audio = pyaudio.PyAudio()
        try:
            device = self._audio.get_default_output_device_info()
            wanted = {"output_device": device["index"], "output_channels": 1, "output_format": pyaudio.paInt16}
            self._rate_hz = _usable_rate(self._audio, device, wanted)
            self._resampler = Resampler(SAMPLE_RATE_HZ, self._rate_hz)
            self._stream = self._audio.open(
                format=pyaudio.paInt16,
                channels=1,
                rate=self._rate_hz,
                output=True,
                stream_callback=self._take,
            )
        except OSError as error:
            self._audio.terminate()
            raise DeviceError(f"no speaker can be opened: {_reason(error)}") from None

    def play(self, pcm: Samples) -> None:
        data = encode_pcm16(self._resampler.push(pcm))
        with self._lock:
            room = max(0, 2 * self._rate_hz * MAX_PLAYING_S - len(self._waiting))
            self._waiting += data[:room]
            self.dropped_samples += (len(data) - len(data[:room])) // 2

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def _take(self, data: None, num_frames: int, timing: object, status: int) -> tuple[bytes, int]:
        """Called by PortAudio on its own thread. Silence where nothing is waiting."""
        with self._lock:
            taken = bytes(self._waiting[: 2 * num_frames])
            del self._waiting[: 2 * num_frames]
        return taken.ljust(2 * num_frames, b"\0"), self._continue

    def close(self) -> None:
        self._stream.close()
        self._audio.terminate()


class Camera:
    """The camera with this number. `read` waits for a picture and returns it as JPEG."""

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._cv2 = _load("cv2", "camera", "OpenCV")
        self._capture = self._cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self._capture.release()
            raise DeviceError(f"camera {number} cannot be opened: it is missing, in use, or not allowed")
        self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture, not one from a queue

    def read(self) -> bytes:
        taken, bgr = self._capture.read()
        if not taken:
            raise DeviceError(f"camera {self._number} stopped giving pictures")
        encoded, jpeg = self._cv2.imencode(".jpg", bgr, [self._cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not encoded:
            raise DeviceError(f"a picture of camera {self._number} could not be encoded")
        data: bytes = jpeg.tobytes()
        return data

    def close(self) -> None:
        self._capture.release()


# PyAudio has no type stubs: its objects are Any, here and in the fields above.
def _usable_rate(audio: Any, device: Any, wanted: dict[str, object]) -> int:
    """24 kHz where the device does it, else the rate it prefers."""
    try:
        audio.is_format_supported(SAMPLE_RATE_HZ, **wanted)
    except ValueError:
        return int(device["defaultSampleRate"])
    return SAMPLE_RATE_HZ


def _reason(error: OSError) -> str:
    return str(error.strerror or error)
