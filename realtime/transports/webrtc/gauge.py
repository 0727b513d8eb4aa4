"""CallGauge: a call's running totals → the server's metrics, as what was added since the last reading."""

from realtime.call_metrics import CallMetrics, PacketFate
from realtime.transports.webrtc.microphone import Microphone
from realtime.transports.webrtc.speech import SpeechQueue
from streams.types import SAMPLE_RATE_HZ


class CallGauge:
    """For one microphone; a new connection has a new one."""

    def __init__(self, metrics: CallMetrics) -> None:
        self._metrics = metrics
        self._fates = dict.fromkeys(PacketFate, 0)
        self._concealed_samples = 0
        self._shortened_in_samples = 0
        self._shortened_out_samples = 0

    def restart_microphone(self) -> None:
        """Its totals begin at zero again."""
        self._fates = dict.fromkeys(PacketFate, 0)
        self._concealed_samples = 0
        self._shortened_in_samples = 0

    def read(self, microphone: Microphone, unheard_samples: int, speech: SpeechQueue) -> None:
        stats = microphone.order.stats
        totals = {
            PacketFate.RECEIVED: stats.received,
            PacketFate.LOST: stats.lost,
            PacketFate.LATE: stats.late,
            PacketFate.UNDECODABLE: microphone.undecodable,
        }
        for fate, total in totals.items():
            self._metrics.count_packets(fate, total - self._fates[fate])
        self._metrics.count_repairs(
            (microphone.concealed_samples - self._concealed_samples) / SAMPLE_RATE_HZ,
            (microphone.shortened_samples - self._shortened_in_samples) / SAMPLE_RATE_HZ,
            (speech.shortened_samples - self._shortened_out_samples) / SAMPLE_RATE_HZ,
        )
        self._fates = totals
        self._concealed_samples = microphone.concealed_samples
        self._shortened_in_samples = microphone.shortened_samples
        self._shortened_out_samples = speech.shortened_samples
        if stats.received:
            self._metrics.observe(
                stats.jitter_us / 1e6, unheard_samples / SAMPLE_RATE_HZ, speech.queued_samples / SAMPLE_RATE_HZ
            )
