"""Offers as browsers write them, and what cannot be answered."""

import pytest

from realtime.transports.webrtc.offer import MAX_OFFER_CHARS, MAX_SECTIONS, read_offer

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"
CHANNEL = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"


def test_the_sections_are_told_in_order():
    offer = read_offer(HEAD + VIDEO + AUDIO + CHANNEL)
    assert offer.kinds == ("video", "audio", "application")
    assert offer.has_channel
    assert not read_offer(HEAD + AUDIO).has_channel


def test_an_offer_without_candidates_is_left_as_it_is():
    assert read_offer(HEAD + AUDIO + CHANNEL).sdp == HEAD + AUDIO + CHANNEL


def test_bare_line_feeds_are_repaired():
    assert read_offer((HEAD + AUDIO).replace("\r\n", "\n")).sdp == HEAD + AUDIO


@pytest.mark.parametrize(
    "useless",
    [
        "a=candidate:1 1 udp 2113937151 5f1b8c2e-7d0e.local 50000 typ host generation 0",
        "a=candidate:1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
        "a=candidate:1 1 udp",
        "a=end-of-candidates",
    ],
)
def test_candidates_that_lead_nowhere_and_the_promise_of_no_more_are_left_out(useless: str):
    assert read_offer(HEAD + AUDIO + useless + "\r\n" + CHANNEL).sdp == HEAD + AUDIO + CHANNEL


def test_candidates_that_can_be_reached_stay():
    candidate = "a=candidate:1 1 UDP 2113937151 192.0.2.7 50000 typ host\r\n"
    assert candidate in read_offer(HEAD + AUDIO + candidate).sdp


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be SDP"),
        ('{"sdp": "v=0"}', "must be SDP"),
        (HEAD + CHANNEL, "no audio section"),
        (HEAD + AUDIO + "m=text 9 RTP/AVP 98\r\n", "asks for 'text'"),
        (HEAD + AUDIO * (MAX_SECTIONS + 1), f"the most is {MAX_SECTIONS}"),
        (HEAD + AUDIO + AUDIO, "a name of its own"),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "a name of its own"),
        (HEAD + "a=group:BUNDLE 0 7\r\n" + AUDIO, "not there: 'a=group:BUNDLE 0 7'"),
        (HEAD + "a=group:BUNDLE\r\n" + AUDIO, "not there: 'a=group:BUNDLE'"),
        (HEAD + AUDIO + "a=x" * MAX_OFFER_CHARS, f"the most is {MAX_OFFER_CHARS}"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(text: str, why: str):
    with pytest.raises(ValueError, match=why):
        read_offer(text)
