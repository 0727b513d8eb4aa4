"""How WebRTC calls find their way through networks. Checked once; a bad value raises `ValueError` with it inside.

Nothing is needed where clients reach this machine's own addresses. Servers for STUN and TURN, fixed ports and an
outside address are for machines behind a NAT or a firewall.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

DEFAULT_GRACE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A relay, such as `turn:relay.example.org:3478?transport=udp`, and what it asks for."""

    url: str
    username: str
    password: str

    def __post_init__(self) -> None:
        _check_url(self.url, ("turn:", "turns:"))
        if not self.username or not self.password:
            raise ValueError(f"the TURN server {self.url} needs a user name and a password")

    def __repr__(self) -> str:
        return f"TurnServer({self.url}, {self.username}, ...)"


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports from `first` to `last`, both included. A call takes one on each address of the machine."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last <= 65_535:
            raise ValueError(f"UDP ports must be FIRST-LAST within 1-65535, got {self.first}-{self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1

    @classmethod
    def parse(cls, text: str) -> "PortRange":
        first, _, last = text.partition("-")
        try:
            return cls(int(first), int(last or first))
        except ValueError:
            raise ValueError(f"UDP ports must be FIRST-LAST within 1-65535, got {text!r}") from None


@dataclass(frozen=True, slots=True)
class RtcConfig:
    """`addresses` are offered to clients beside the machine's own: where a router forwards the same ports to it.

    `grace_s` is how long a session waits for a client that has gone silent.
    """

    stun_url: str | None = None
    turn: TurnServer | None = None
    ports: PortRange | None = None  # None: whichever the system gives
    addresses: tuple[str, ...] = ()
    grace_s: float = DEFAULT_GRACE_S

    def __post_init__(self) -> None:
        if self.stun_url is not None:
            _check_url(self.stun_url, ("stun:",))
        for address in self.addresses:
            try:
                ip_address(address)
            except ValueError:
                raise ValueError(f"WebRTC addresses must be IP addresses, got {address!r}") from None
        if not self.grace_s > 0:
            raise ValueError(f"grace_s must be greater than 0, got {self.grace_s}")


def _check_url(url: str, schemes: tuple[str, ...]) -> None:
    scheme = next((scheme for scheme in schemes if url.startswith(scheme)), None)
    if scheme is None or not url.removeprefix(scheme).strip("/ "):
        raise ValueError(f"the server's URL must look like {schemes[0]}HOST:PORT, got {url!r}")
