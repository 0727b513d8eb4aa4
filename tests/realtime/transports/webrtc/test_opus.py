"""Opus both ways: what goes in comes out, a little later, and a lost packet is bridged."""

import numpy as np
import pytest

from realtime.transports.webrtc.opus import FRAME_SAMPLES, Halver, OpusDecoder, OpusEncoder
from streams.types import SAMPLE_RATE_HZ, Samples
from tests.realtime.transports.sounds import energy_at, rms, tone


def packets_of(pcm: Samples) -> list[bytes]:
    encoder = OpusEncoder()
    return [encoder.push(pcm[start : start + FRAME_SAMPLES]) for start in range(0, len(pcm), FRAME_SAMPLES)]


def test_a_tone_survives():
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.push(packet) for packet in packets_of(tone(440, 1_000))])
    assert len(heard) == SAMPLE_RATE_HZ
    assert energy_at(heard[4_800:], 440) > 0.95
    assert rms(heard[4_800:]) == pytest.approx(rms(tone(440, 1_000)), rel=0.1)


def test_the_codec_delays_sound_by_seven_milliseconds():
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    chirp = (0.3 * np.sin(2 * np.pi * (200 + 800 * time_s) * time_s)).astype(np.float32)
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.push(packet) for packet in packets_of(chirp)])
    piece = chirp[4_800:14_400]
    matches = [float(np.dot(heard[4_800 + lag : 14_400 + lag], piece)) for lag in range(600)]
    assert int(np.argmax(matches)) == pytest.approx(7 * SAMPLE_RATE_HZ / 1000, abs=12)


def test_silence_takes_few_bytes():
    assert max(map(len, packets_of(np.zeros(SAMPLE_RATE_HZ, np.float32))[5:])) < 30


def test_a_lost_packet_is_guessed_from_the_sound_before_it():
    packets = packets_of(tone(440, 1_000))
    decoder = OpusDecoder()
    for packet in packets[:25]:
        decoder.push(packet)
    guess = decoder.conceal()
    assert len(guess) == FRAME_SAMPLES
    assert energy_at(guess, 440) > 0.8
    later = [decoder.conceal() for _ in range(10)]
    assert rms(later[-1]) < rms(guess) / 2, "a guess fades"
    assert len(decoder.push(packets[36])) == FRAME_SAMPLES


def test_nothing_is_guessed_before_the_first_packet():
    assert len(OpusDecoder().conceal()) == 0


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\xff"])
def test_what_is_no_packet_is_refused_and_does_no_harm(payload: bytes):
    decoder = OpusDecoder()
    with pytest.raises(ValueError, match="Opus packet"):
        decoder.push(payload)
    for packet in packets_of(tone(440, 200)):
        heard = decoder.push(packet)
    assert energy_at(heard, 440) > 0.9


def test_stereo_becomes_mono():
    import av

    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "stereo", "s16"
    left = (tone(440, 40, rate_hz=48_000) * 32_767).astype(np.int16)
    both = np.stack((left, left), axis=1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(both[:, : 2 * 960], format="s16", layout="stereo")
    frame.sample_rate = 48_000
    (packet,) = codec.encode(frame)
    assert len(OpusDecoder().push(bytes(packet))) == FRAME_SAMPLES


def test_an_encoder_takes_whole_frames():
    with pytest.raises(ValueError, match="480"):
        OpusEncoder().push(np.zeros(100, np.float32))


@pytest.mark.parametrize(
    ("frequency_hz", "lowest", "highest"), [(1_000, 0.99, 1.01), (9_000, 0.99, 1.01), (15_000, 0, 0.002)]
)
def test_halving_keeps_what_24_khz_can_hold_and_nothing_else(frequency_hz: int, lowest: float, highest: float):
    halver = Halver()
    sound = tone(frequency_hz, 1_000, rate_hz=48_000)
    halved = np.concatenate([halver.push(sound[start : start + 960]) for start in range(0, len(sound), 960)])
    assert len(halved) == SAMPLE_RATE_HZ
    assert lowest <= rms(halved[1_000:]) / rms(sound) <= highest


def test_halving_does_not_depend_on_the_pieces():
    sound = tone(700, 100, rate_hz=48_000)
    whole = Halver().push(sound)
    pieces = Halver()
    assert np.array_equal(whole, np.concatenate([pieces.push(sound[i : i + 96]) for i in range(0, len(sound), 96)]))


def test_halving_takes_pairs():
    with pytest.raises(ValueError, match="got 3"):
        Halver().push(np.zeros(3, np.float32))
