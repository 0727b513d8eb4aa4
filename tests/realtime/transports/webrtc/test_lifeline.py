"""Who is waited for, how long, and who hung up."""

from realtime.transports.webrtc.lifeline import CONNECT_TIMEOUT_US, SILENT_CLIENT_US, SILENT_MICROPHONE_US, Lifeline

S = 1_000_000
GRACE = 15 * S


def connected() -> Lifeline:
    lifeline = Lifeline(0, GRACE)
    lifeline.connect(2 * S)
    return lifeline


def test_a_client_that_never_connects_is_given_up():
    lifeline = Lifeline(0, GRACE)
    assert lifeline.verdict(CONNECT_TIMEOUT_US) is None
    assert lifeline.verdict(CONNECT_TIMEOUT_US + 1) == "no connection within 30 s"


def test_a_connected_client_is_waited_for_as_long_as_the_grace_lasts():
    lifeline = connected()
    assert lifeline.verdict(2 * S + GRACE) is None
    assert lifeline.verdict(2 * S + GRACE + 1) == "nothing was heard of the client for 15 s"


def test_every_sign_begins_the_wait_anew():
    lifeline = connected()
    for second in range(3, 100, 10):
        lifeline.sign(second * S)
    assert lifeline.verdict(93 * S + GRACE) is None


def test_a_client_that_closes_while_all_was_well_has_hung_up():
    lifeline = connected()
    for second in range(2, 30, 3):
        lifeline.sign(second * S)
    assert not lifeline.was_silent_lately(29 * S + SILENT_CLIENT_US)


def test_a_client_that_closes_after_a_silence_may_come_back():
    assert connected().was_silent_lately(2 * S + SILENT_CLIENT_US + 1)


def test_so_may_one_that_was_heard_again_before_it_closed():
    lifeline = connected()
    lifeline.sign(10 * S)
    assert lifeline.was_silent_lately(11 * S)
    for second in range(11, 11 + 15):
        lifeline.sign(second * S)
    assert not lifeline.was_silent_lately(10 * S + GRACE)


def test_a_microphone_that_falls_silent_is_missed_sooner():
    lifeline = connected()
    lifeline.sign(3 * S, is_sound=True)
    lifeline.sign(3 * S + 500_000)
    assert lifeline.is_microphone_on
    assert not lifeline.was_silent_lately(3 * S + 500_000 + SILENT_MICROPHONE_US)
    assert lifeline.was_silent_lately(3 * S + 500_001 + SILENT_MICROPHONE_US)


def test_a_microphone_that_is_silent_while_its_client_is_not_was_switched_off():
    lifeline = connected()
    assert not lifeline.is_microphone_on
    lifeline.sign(3 * S, is_sound=True)
    lifeline.sign(5 * S)
    assert not lifeline.is_microphone_on
    for second in range(5, 21, 3):
        lifeline.sign(second * S)
    assert not lifeline.was_silent_lately(21 * S)


def test_the_time_before_the_connection_is_no_silence():
    lifeline = Lifeline(0, GRACE)
    lifeline.connect(20 * S)
    assert not lifeline.was_silent_lately(21 * S)
