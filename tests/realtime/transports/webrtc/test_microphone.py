"""Packets of a client's sound → chunks on one line of time, with losses bridged and delay kept low."""

import random

import numpy as np
import pytest

from realtime.transports.webrtc.microphone import MAX_CONCEALED_MS, Microphone
from realtime.transports.webrtc.opus import FRAME_SAMPLES, OpusEncoder
from realtime.transports.webrtc.order import OpusPacket
from streams.audio import AudioInput
from streams.types import SAMPLE_RATE_HZ, TICK_US, AudioChunk, Samples
from tests.realtime.transports.sounds import energy_at, rms, tone

UNITS = 960


def packets_of(pcm: Samples, sequence: int = 0, timestamp: int = 0) -> list[OpusPacket]:
    encoder = OpusEncoder()
    return [
        OpusPacket(
            (sequence + number) % 65_536,
            (timestamp + number * UNITS) % 2**32,
            encoder.push(pcm[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]),
        )
        for number in range(len(pcm) // FRAME_SAMPLES)
    ]


def hear(microphone: Microphone, packets: list[OpusPacket], from_us: int = 0) -> list[AudioChunk]:
    return [
        chunk for number, packet in enumerate(packets) for chunk in microphone.push(packet, from_us + number * 20_000)
    ]


def joined(chunks: list[AudioChunk]) -> Samples:
    return np.concatenate([chunk.pcm for chunk in chunks])


def ends_us(chunks: list[AudioChunk]) -> list[int]:
    return [chunk.pts_us + chunk.duration_us for chunk in chunks]


def gaps_us(chunks: list[AudioChunk]) -> list[int]:
    """The open time between chunks."""
    return [chunk.pts_us - end_us for end_us, chunk in zip(ends_us(chunks), chunks[1:], strict=False)]


def never_behind() -> int:
    return 0


def test_sound_comes_out_as_it_was_said():
    chunks = hear(Microphone(never_behind), packets_of(tone(440, 1_000), sequence=65_530, timestamp=2**32 - 5_000))
    assert len(joined(chunks)) == SAMPLE_RATE_HZ
    assert chunks[0].pts_us == 0
    assert set(gaps_us(chunks)) == {0}
    assert energy_at(joined(chunks)[4_800:], 440) > 0.95


def test_a_lost_packet_is_bridged_without_a_gap():
    packets = packets_of(tone(440, 1_000))
    microphone = Microphone(never_behind)
    chunks = hear(microphone, packets[:20] + packets[21:])
    assert len(joined(chunks)) == SAMPLE_RATE_HZ
    assert set(gaps_us(chunks)) == {0}
    assert microphone.concealed_samples == FRAME_SAMPLES
    hole = joined(chunks)[20 * FRAME_SAMPLES : 21 * FRAME_SAMPLES]
    assert rms(hole) > 0.5 * rms(tone(440, 20))


def test_more_than_can_be_guessed_stays_open_after_the_guess():
    packets = packets_of(tone(440, 2_000))
    microphone = Microphone(never_behind)
    chunks = hear(microphone, packets[:20] + packets[70:])
    assert microphone.concealed_samples == MAX_CONCEALED_MS * SAMPLE_RATE_HZ // 1000
    assert sorted(gaps_us(chunks))[-1] == 1_000_000 - MAX_CONCEALED_MS * 1_000
    assert ends_us(chunks)[-1] == 2_000_000


def test_a_sender_that_paused_leaves_the_gap_its_timestamps_show():
    before = packets_of(tone(440, 200))
    after = packets_of(tone(440, 200), sequence=10, timestamp=10 * UNITS + 5 * 48_000)
    chunks = hear(Microphone(never_behind), before + after)
    assert ends_us(chunks)[-1] == 5_400_000


def test_packets_out_of_order_are_decoded_in_order():
    packets = packets_of(tone(440, 1_000))
    swapped = [packet for pair in zip(packets[1::2], packets[::2], strict=True) for packet in pair]
    ordered, shuffled = Microphone(never_behind), Microphone(never_behind)
    expected = joined(hear(ordered, packets[1:]))
    heard = joined(hear(shuffled, swapped))
    assert shuffled.order.stats.lost == 0
    assert np.array_equal(heard[: len(expected)], expected[: len(heard)])


def test_an_undecodable_packet_is_bridged_and_counted():
    packets = packets_of(tone(440, 400))
    packets[10] = OpusPacket(10, 10 * UNITS, b"\xff\xff")
    microphone = Microphone(never_behind)
    assert len(joined(hear(microphone, packets))) == SAMPLE_RATE_HZ * 400 // 1000
    assert microphone.undecodable == 1


def test_timestamps_that_jump_far_are_a_sender_that_started_anew():
    before = packets_of(tone(440, 200))
    after = packets_of(tone(440, 200), sequence=10, timestamp=2**31)
    chunks = hear(Microphone(never_behind), before + after)
    assert ends_us(chunks)[-1] == 400_000


def test_the_next_connection_goes_on_where_the_last_one_ended():
    first = Microphone(never_behind)
    hear(first, packets_of(tone(440, 200)))
    second = Microphone(never_behind, first.next_pts_us)
    assert hear(second, packets_of(tone(440, 20), sequence=9_000))[0].pts_us == 200_000


def test_five_minutes_of_a_bad_network_reach_the_ticks_without_growing_delay():
    rng = random.Random(5)
    packets = packets_of(tone(440, 1_000)) * 300
    sent = [
        (number * 20_000 + rng.random() * 50_000, OpusPacket(number % 65_536, number * UNITS, packet.payload))
        for number, packet in enumerate(packets)
        if rng.random() > 0.01
    ]
    ticks = AudioInput()
    microphone = Microphone(lambda: ticks.buffered_samples)
    waiting_ms: list[float] = []
    for arrived_us, packet in sorted(sent, key=lambda pair: pair[0]):
        while (len(waiting_ms) + 1) * TICK_US <= arrived_us:
            ticks.take_window(len(waiting_ms))
            waiting_ms.append(ticks.buffered_samples * 1000 / SAMPLE_RATE_HZ)
        for chunk in microphone.push(packet, int(arrived_us)):
            ticks.push(chunk)
    assert microphone.order.stats.lost == pytest.approx(150, rel=0.3)
    assert microphone.order.stats.jitter_us == pytest.approx(17_000, rel=0.5)
    assert max(waiting_ms) < 200
    assert np.mean(waiting_ms[-200:]) < np.mean(waiting_ms[200:400]) + 30
