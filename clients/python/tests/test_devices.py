"""Devices, against fakes of PyAudio and OpenCV: no sound is heard and no picture taken here."""

import asyncio
import sys
from types import ModuleType

import numpy as np
import pytest

from omniweave_client import DeviceError
from omniweave_client.devices import MAX_HEARD_BLOCKS, Camera, Microphone, Speaker
from omniweave_client.pcm import decode_pcm16


class FakeStream:
    def __init__(self, options: dict) -> None:
        self.rate_hz = options["rate"]
        self.callback = options["stream_callback"]
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakePyAudio(ModuleType):
    """A fake of PyAudio with one device that does the rates in `rates_hz`, or with none."""

    paInt16 = 8
    paContinue = 0

    def __init__(self, rates_hz: tuple[int, ...]) -> None:
        super().__init__("pyaudio")
        self.rates_hz = rates_hz
        self.streams: list[FakeStream] = []
        self.terminated = False

    def PyAudio(self) -> "FakePyAudio":  # noqa: N802
        return self

    def get_default_input_device_info(self) -> dict:
        if not self.rates_hz:
            raise OSError("No Default Device Available")
        return {"index": 0, "defaultSampleRate": float(self.rates_hz[0])}

    get_default_output_device_info = get_default_input_device_info

    def is_format_supported(self, rate_hz: int, **wanted: object) -> bool:
        if rate_hz not in self.rates_hz:
            raise ValueError("Invalid sample rate")
        return True

    def open(self, **options: object) -> FakeStream:
        self.streams.append(FakeStream(options))
        return self.streams[-1]

    def terminate(self) -> None:
        self.terminated = True


def plug_in(monkeypatch: pytest.MonkeyPatch, *rates_hz: int) -> FakePyAudio:
    fake = FakePyAudio(rates_hz)
    monkeypatch.setitem(sys.modules, "pyaudio", fake)
    return fake


def tone(num_samples: int, rate_hz: int) -> bytes:
    return np.rint(8_000 * np.sin(2 * np.pi * 440 * np.arange(num_samples) / rate_hz)).astype("<i2").tobytes()


@pytest.mark.parametrize("rate_hz", [24_000, 48_000])
async def test_the_microphone_delivers_24_khz_whatever_the_device_does(monkeypatch, rate_hz: int) -> None:
    fake = plug_in(monkeypatch, rate_hz)
    microphone = Microphone()
    for _ in range(4):
        assert fake.streams[0].callback(tone(rate_hz // 10, rate_hz), rate_hz // 10, {}, 0) == (None, 0)
    heard = np.concatenate([await anext(microphone) for _ in range(4)])
    assert abs(len(heard) - 9_600) <= 64  # the filter still holds a little
    assert heard.dtype == np.float32
    microphone.close()
    assert fake.streams[0].closed
    assert fake.terminated


async def test_sound_nobody_collects_is_bounded_and_the_loss_counted(monkeypatch) -> None:
    fake = plug_in(monkeypatch, 24_000)
    microphone = Microphone()
    for number in range(MAX_HEARD_BLOCKS + 3):
        fake.streams[0].callback(np.full(2_400, number, "<i2").tobytes(), 2_400, {}, 0)
    await asyncio.sleep(0)  # the callback hands over through the loop
    first = await anext(microphone)
    assert microphone.dropped_blocks == 3
    assert first[0] == 3 / 32_768


@pytest.mark.parametrize("rate_hz", [24_000, 44_100])
def test_the_speaker_plays_what_it_was_given_then_silence(monkeypatch, rate_hz: int) -> None:
    fake = plug_in(monkeypatch, rate_hz)
    speaker = Speaker()
    speaker.play(np.full(24_000, 0.5, np.float32))
    data, _ = fake.streams[0].callback(None, 2 * rate_hz, {}, 0)
    played = decode_pcm16(data)
    assert len(played) == 2 * rate_hz
    np.testing.assert_allclose(played[200 : rate_hz - 200], 0.5, atol=1e-3)
    assert not played[rate_hz:].any()


def test_clearing_the_speaker_forgets_what_was_not_heard(monkeypatch) -> None:
    fake = plug_in(monkeypatch, 24_000)
    speaker = Speaker()
    speaker.play(np.full(24_000, 0.5, np.float32))
    fake.streams[0].callback(None, 1_000, {}, 0)
    speaker.clear()
    data, _ = fake.streams[0].callback(None, 1_000, {}, 0)
    assert not any(data)


def test_the_speaker_holds_a_bounded_amount(monkeypatch) -> None:
    plug_in(monkeypatch, 24_000)
    monkeypatch.setattr("omniweave_client.devices.MAX_PLAYING_S", 1)
    speaker = Speaker()
    speaker.play(np.zeros(30_000, np.float32))
    assert speaker.dropped_samples == 6_000


@pytest.mark.parametrize(("kind", "name"), [(Microphone, "microphone"), (Speaker, "speaker")])
async def test_a_machine_without_the_device_says_so(monkeypatch, kind, name: str) -> None:
    fake = plug_in(monkeypatch)
    with pytest.raises(DeviceError, match=f"no {name} can be opened: No Default Device"):
        kind()
    assert fake.terminated


@pytest.mark.parametrize(("kind", "module"), [(Microphone, "pyaudio"), (Speaker, "pyaudio"), (Camera, "cv2")])
async def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, kind, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # what Python itself does to make an import fail
    with pytest.raises(DeviceError, match=r"pip install 'omniweave-client\[devices\]'"):
        kind()


# --- camera ---------------------------------------------------------------------------------------------------------


class FakeCv2(ModuleType):
    """A fake of OpenCV with one camera, number 0, that gives `num_pictures`."""

    CAP_PROP_BUFFERSIZE = 38
    IMWRITE_JPEG_QUALITY = 1

    def __init__(self, num_pictures: int) -> None:
        super().__init__("cv2")
        self.num_pictures = num_pictures
        self.number = -1
        self.released = False

    def VideoCapture(self, number: int) -> "FakeCv2":  # noqa: N802
        self.number = number
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.number == 0

    def set(self, key: int, value: int) -> None:
        pass

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.num_pictures -= 1
        return (True, np.zeros((2, 2, 3), np.uint8)) if self.num_pictures >= 0 else (False, None)

    def imencode(self, suffix: str, bgr: np.ndarray, options: list[int]) -> tuple[bool, np.ndarray]:
        return True, np.frombuffer(b"\xff\xd8\xff fake", np.uint8)

    def release(self) -> None:
        self.released = True


def test_the_camera_gives_jpeg_until_it_stops(monkeypatch) -> None:
    fake = FakeCv2(num_pictures=1)
    monkeypatch.setitem(sys.modules, "cv2", fake)
    camera = Camera()
    assert camera.read() == b"\xff\xd8\xff fake"
    with pytest.raises(DeviceError, match="camera 0 stopped giving pictures"):
        camera.read()
    camera.close()
    assert fake.released


def test_a_missing_camera_says_so(monkeypatch) -> None:
    fake = FakeCv2(num_pictures=1)
    monkeypatch.setitem(sys.modules, "cv2", fake)
    with pytest.raises(DeviceError, match="camera 3 cannot be opened"):
        Camera(3)
    assert fake.released
