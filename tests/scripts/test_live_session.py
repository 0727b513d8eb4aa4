"""The parts of the live session's driver that judge: ticks, media, and what is seen of the server."""

import socket
from itertools import islice
from os import getpid

import cv2
import numpy as np
import pytest

from omniweave_client import AudioDelta, TextDelta
from realtime.session.vad import Silero
from scripts.live_media import drawn_frames, voiced_signal
from scripts.live_server import find_listener, resident_mib
from scripts.live_ticks import TickLog

SILENCE = np.zeros(0, np.float32)


def log_of(*seen: tuple[int, float]) -> TickLog:
    log = TickLog()
    for tick, at_s in seen:
        log.push(TextDelta("resp_1", "a", tick), at_s)
    return log


def test_four_ticks_a_second_lose_nothing() -> None:
    assert log_of(*((100 + tick, 7.0 + tick / 4) for tick in range(240))).lost == 0


def test_a_session_that_falls_behind_the_clock_loses_ticks() -> None:
    log = log_of((0, 0.0), (4, 1.0), (8, 5.0))
    assert log.lost == 12


def test_a_late_packet_that_is_made_up_for_is_no_loss() -> None:
    assert log_of((0, 0.0), (1, 1.2), (8, 2.0)).lost == 0


def test_numbers_that_run_backwards_are_losses() -> None:
    assert log_of((0, 0.0), (2, 0.5), (1, 0.5)).lost == 1


def test_speech_that_jumps_over_ticks_inside_one_answer_loses_them() -> None:
    log = TickLog()
    for response, tick in (("resp_1", 10), ("resp_1", 10), ("resp_1", 11), ("resp_1", 14), ("resp_2", 30)):
        log.push(AudioDelta(response, SILENCE, tick), tick / 4)
    assert (log.jumped, log.lost) == (2, 2)


def test_events_without_numbers_are_passed_over() -> None:
    log = TickLog()
    log.push(TextDelta("resp_1", "a", None), 1.0)
    assert log.first is None


def test_frames_are_jpeg_and_differ() -> None:
    first, second = (
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in islice(drawn_frames(), 2)
    )
    assert first.shape == (240, 320, 3)
    assert (first != second).any()


def test_the_voiced_signal_is_taken_for_a_voice() -> None:
    pcm = voiced_signal(2.0)
    assert pcm.shape == (48_000,)
    assert np.abs(pcm).max() == pytest.approx(0.4)
    activity = Silero()
    probabilities = [p for piece in np.split(pcm, 20) for p in activity.push(piece)]
    assert np.mean([p > 0.5 for p in probabilities]) > 0.9


def test_the_listening_process_and_its_memory_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pid = find_listener(server.getsockname()[1])
    assert pid == getpid()
    assert resident_mib(pid) > 10


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_mib(2**22 + 1) is None
