"""A browser's offer, looked over before it is answered: SDP text in, SDP text out. Pure.

What cannot be answered raises ValueError in words that the caller may show. Candidates that only a browser's own
network can resolve (`.local` names) are left out, and so is the promise that no more will come: the client is found
by the packets it sends, which needs none, but an agent that was promised no more candidates gives up without any
(RFC 8445, section 7.3.1.3: peer-reflexive candidates).
"""

from dataclasses import dataclass
from typing import Final

MAX_OFFER_CHARS: Final = 64 * 1024  # browsers write some 6 KiB for sound, video and a channel
MAX_SECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """`kinds` are the m-lines' media in order, such as ("audio", "application")."""

    sdp: str
    kinds: tuple[str, ...]

    @property
    def has_channel(self) -> bool:
        return "application" in self.kinds


def read_offer(text: str) -> Offer:
    if len(text) > MAX_OFFER_CHARS:
        raise ValueError(f"the offer has {len(text)} characters, the most is {MAX_OFFER_CHARS}")
    lines = text.splitlines()
    if not lines or lines[0] != "v=0":
        raise ValueError(f"the offer must be SDP, which begins with 'v=0'; it begins with {text[:40]!r}")
    kinds = tuple(line[2:].partition(" ")[0] for line in lines if line.startswith("m="))
    unknown = set(kinds) - {"audio", "video", "application"}
    if unknown:
        raise ValueError(f"the offer asks for {min(unknown)!r:.40}; only audio, video and a data channel are served")
    if "audio" not in kinds:
        raise ValueError("the offer has no audio section: add a microphone track, or a transceiver that receives audio")
    if len(kinds) > MAX_SECTIONS:
        raise ValueError(f"the offer has {len(kinds)} sections, the most is {MAX_SECTIONS}")
    _check_names(lines, kinds)
    kept = [line for line in lines if not _is_useless(line)]
    return Offer("\r\n".join(kept) + "\r\n", kinds)


def _check_names(lines: list[str], kinds: tuple[str, ...]) -> None:
    """The names of sections and what is said of them; aiortc believes both without looking."""
    names = [line.removeprefix("a=mid:").strip() for line in lines if line.startswith("a=mid:")]
    if len(names) != len(kinds) or len(set(names)) != len(names):
        raise ValueError(f"each of the offer's {len(kinds)} sections needs a name of its own (a=mid), got {names}")
    for line in lines:
        group, _, members = line.partition(" ")
        strangers = set(members.split()) - set(names)
        if group == "a=group:BUNDLE" and (strangers or not members.strip()):
            raise ValueError(f"the offer bundles sections that are not there: {line!r:.80}")


def _is_useless(line: str) -> bool:
    if line == "a=end-of-candidates":
        return True
    if not line.startswith("a=candidate:"):
        return False
    fields = line.split()
    return len(fields) < 6 or fields[4].endswith(".local") or fields[2].lower() != "udp"
