"""Who is calling: API keys and the short-lived client secrets made from them.

The text of a key enters, a `Caller` or a `Refusal` leaves. Keys are kept as digests only, compared in constant time,
and never logged; a caller is known by the name of its key ("key-1"). Reads no clock and opens no file.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import SessionPatch
from realtime.refusal import Refusal, RefusalCode

SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL_PREFIX = "openai-insecure-api-key."  # how a browser, which cannot set headers, passes its key
CLIENT_SECRET_PREFIX = "ek_"  # browser clients check it
ANONYMOUS = "anonymous"

MIN_SECRET_TTL_S = 10
MAX_SECRET_TTL_S = 7_200
DEFAULT_SECRET_TTL_S = 600
MAX_CLIENT_SECRETS = 1_000  # each may carry 64 KiB of configuration


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who may open sessions, with the configuration that their client secret carries."""

    key_name: str
    patch: SessionPatch = field(default_factory=SessionPatch)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A key that may be given to a browser: it opens sessions until `expires_at_s` (Unix time)."""

    value: str
    expires_at_s: int

    def __repr__(self) -> str:
        return f"ClientSecret({CLIENT_SECRET_PREFIX}..., expires {self.expires_at_s})"


def offered_key(authorization: str | None, api_key: str | None, subprotocols: Sequence[str] = ()) -> str | None:
    """The key a client sent: `Authorization: Bearer`, the `api-key` header, or a subprotocol, in this order."""
    if authorization is not None:
        scheme, _, credentials = authorization.strip().partition(" ")
        if scheme.lower() == "bearer" and credentials.strip():
            return credentials.strip()
    if api_key is not None and api_key.strip():
        return api_key.strip()
    for subprotocol in subprotocols:
        if subprotocol.startswith(KEY_SUBPROTOCOL_PREFIX) and len(subprotocol) > len(KEY_SUBPROTOCOL_PREFIX):
            return subprotocol.removeprefix(KEY_SUBPROTOCOL_PREFIX)
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`, a name or an address."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_local_origin(origin: str | None) -> bool:
    """Whether a page served by this machine, or no page at all, sent the request.

    Without keys, this is what keeps any web page that the user happens to visit from talking to the local server.
    """
    if origin is None:
        return True
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


class KeyRing:
    """The API keys that are accepted, as salted digests. An empty ring accepts everyone."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._salt = secrets.token_bytes(16)
        self._digests: list[bytes] = []
        for number, key in enumerate(keys, start=1):
            if not key or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError(f"API key number {number} is empty or has spaces or unprintable characters")
            if key.startswith(CLIENT_SECRET_PREFIX):
                raise ValueError(f"API key number {number} starts with {CLIENT_SECRET_PREFIX!r}, as client secrets do")
            self._digests.append(self.digest(key))

    def __len__(self) -> int:
        return len(self._digests)

    def __repr__(self) -> str:
        return f"KeyRing({len(self)} keys)"

    def digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(errors="surrogatepass"), key=self._salt, digest_size=32).digest()

    def find(self, key: str) -> str | None:
        """The name of `key`, or None. Compares with every key, so that the time tells nothing."""
        digest = self.digest(key)
        found: str | None = None
        for number, known in enumerate(self._digests, start=1):
            if hmac.compare_digest(known, digest):
                found = f"key-{number}"
        return found


@dataclass(frozen=True, slots=True)
class _Issued:
    key_name: str
    patch: SessionPatch
    expires_at_s: int


class Authenticator:
    """Tells callers apart, and issues client secrets. At most `max_secrets` are valid at a time."""

    def __init__(self, ring: KeyRing, ids: Ids, max_secrets: int = MAX_CLIENT_SECRETS) -> None:
        self._ring = ring
        self._ids = ids
        self._max_secrets = max_secrets
        self._issued: dict[bytes, _Issued] = {}

    @property
    def needs_key(self) -> bool:
        return len(self._ring) > 0

    def identify(self, key: str | None, now_s: int) -> Caller | Refusal:
        """Who holds `key`. Client secrets are checked even where no key is needed, because they carry a session."""
        if key is not None and key.startswith(CLIENT_SECRET_PREFIX):
            issued = self._issued.get(self._ring.digest(key))
            if issued is None or issued.expires_at_s <= now_s:
                return Refusal(RefusalCode.INVALID_API_KEY, "This client secret is unknown or has expired.")
            return Caller(issued.key_name, issued.patch)
        if not self.needs_key:
            return Caller(ANONYMOUS)
        if key is None:
            return Refusal(
                RefusalCode.INVALID_API_KEY,
                "An API key is required: send 'Authorization: Bearer KEY', an 'api-key' header, "
                f"or the WebSocket subprotocol '{KEY_SUBPROTOCOL_PREFIX}KEY'.",
            )
        name = self._ring.find(key)
        if name is None:
            return Refusal(RefusalCode.INVALID_API_KEY, "The API key is not one of this server's.")
        return Caller(name)

    def issue(self, caller: Caller, patch: SessionPatch, ttl_s: int, now_s: int) -> ClientSecret | Refusal:
        """A new client secret on behalf of `caller`."""
        if not MIN_SECRET_TTL_S <= ttl_s <= MAX_SECRET_TTL_S:
            raise ValueError(f"ttl_s must be in [{MIN_SECRET_TTL_S}, {MAX_SECRET_TTL_S}], got {ttl_s}")
        if len(self._issued) >= self._max_secrets:
            self._issued = {digest: entry for digest, entry in self._issued.items() if entry.expires_at_s > now_s}
        if len(self._issued) >= self._max_secrets:
            return Refusal(
                RefusalCode.TOO_MANY_CONNECTS,
                f"{self._max_secrets} client secrets are valid already; wait for some to expire.",
                retry_after_s=MIN_SECRET_TTL_S,
            )
        secret = ClientSecret(self._ids.client_secret(), now_s + ttl_s)
        self._issued[self._ring.digest(secret.value)] = _Issued(caller.key_name, patch, secret.expires_at_s)
        return secret
