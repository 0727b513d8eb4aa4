"""What a response cost, counted from the positions that each tick added to the model's sequence.

The input of a response is everything the model had before it, plus what arrived while it answered; what was there
before is what the cache spared.
"""

from dataclasses import dataclass, replace

from realtime.protocol.objects import CachedTokens, InputTokens, OutputTokens, ResponseUsage
from streams.types import Usage


@dataclass(frozen=True, slots=True)
class _Kinds:
    text: int = 0
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        return self.text + self.audio + self.image

    def plus(self, other: "_Kinds") -> "_Kinds":
        return _Kinds(self.text + other.text, self.audio + other.audio, self.image + other.image)

    def at_most(self, total: int) -> "_Kinds":
        """Fewer, where the cache has evicted: sound first, which is most of what slides out of it."""
        kinds, surplus = self, max(self.total - total, 0)
        audio = min(surplus, kinds.audio)
        image = min(surplus - audio, kinds.image)
        text = min(surplus - audio - image, kinds.text)
        return _Kinds(kinds.text - text, kinds.audio - audio, kinds.image - image)


class UsageMeter:
    """Follows one session's sequence through its ticks."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The sequence begins anew."""
        self._sequence = _Kinds()  # all that was added so far
        self._before: _Kinds | None = None  # what was there when the answer began; None while nothing is answered
        self._arrived = _Kinds()
        self._produced = Usage()

    def push(self, usage: Usage, answering: bool) -> None:
        """Count one whole tick."""
        arrived = _Kinds(usage.text_in, usage.audio_in, usage.image_in)
        produced = _Kinds(usage.text_out, usage.audio_out)
        if answering:
            if self._before is None:
                cached = usage.cached - arrived.total - produced.total
                self._before = self._sequence.at_most(max(cached, 0))
                self._arrived, self._produced = _Kinds(), Usage()
            self._arrived = self._arrived.plus(arrived)
            self._produced = replace(
                self._produced,
                text_out=self._produced.text_out + usage.text_out,
                audio_out=self._produced.audio_out + usage.audio_out,
            )
        self._sequence = self._sequence.plus(arrived).plus(produced)

    def take(self) -> ResponseUsage:
        """What the answer cost that ends here."""
        before = self._before or _Kinds()
        arrived, produced = (self._arrived, self._produced) if self._before is not None else (_Kinds(), Usage())
        self._before = None
        read = before.plus(arrived)
        written = produced.text_out + produced.audio_out
        return ResponseUsage(
            total_tokens=read.total + written,
            input_tokens=read.total,
            output_tokens=written,
            input_token_details=InputTokens(
                text_tokens=read.text,
                audio_tokens=read.audio,
                image_tokens=read.image,
                cached_tokens=before.total,
                cached_tokens_details=CachedTokens(
                    text_tokens=before.text, audio_tokens=before.audio, image_tokens=before.image
                ),
            ),
            output_token_details=OutputTokens(text_tokens=produced.text_out, audio_tokens=produced.audio_out),
        )
