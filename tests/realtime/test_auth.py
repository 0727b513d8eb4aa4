"""Keys, client secrets and origins."""

import random

import pytest

from realtime.auth import ANONYMOUS, Authenticator, Caller, ClientSecret, KeyRing, is_local_origin, offered_key
from realtime.protocol.ids import Ids
from realtime.protocol.session_patch import SessionPatch
from realtime.refusal import Refusal, RefusalCode


def authenticator(*keys: str, max_secrets: int = 10) -> Authenticator:
    return Authenticator(KeyRing(keys), Ids(random.Random(1)), max_secrets)


@pytest.mark.parametrize(
    ("authorization", "api_key", "subprotocols", "key"),
    [
        ("Bearer sk-1", None, [], "sk-1"),
        ("bearer   sk-1 ", None, [], "sk-1"),
        ("Basic dXNlcg==", "sk-2", [], "sk-2"),
        (None, "sk-2", [], "sk-2"),
        (None, None, ["realtime", "openai-insecure-api-key.sk-3"], "sk-3"),
        ("Bearer sk-1", "sk-2", ["openai-insecure-api-key.sk-3"], "sk-1"),
        ("Bearer ", " ", ["openai-insecure-api-key.", "openai-organization.org"], None),
        (None, None, [], None),
    ],
)
def test_the_key_is_read_from_wherever_clients_put_it(
    authorization: str | None, api_key: str | None, subprotocols: list[str], key: str | None
) -> None:
    assert offered_key(authorization, api_key, subprotocols) == key


def test_a_key_is_known_by_its_name() -> None:
    both = authenticator("alpha", "beta")
    assert both.identify("beta", 0) == Caller("key-2")
    assert both.identify("alpha", 0) == Caller("key-1")


@pytest.mark.parametrize("key", [None, "", "alph", "alphaa", "ALPHA", "\udcff"])
def test_any_other_key_is_refused_with_401(key: str | None) -> None:
    refusal = authenticator("alpha").identify(key, 0)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.INVALID_API_KEY
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"] == "Bearer"


def test_without_keys_everyone_may_come() -> None:
    assert authenticator().identify(None, 0) == Caller(ANONYMOUS)
    assert authenticator().identify("anything", 0) == Caller(ANONYMOUS)


def test_no_key_can_be_read_back_from_memory_or_repr() -> None:
    ring = KeyRing(["alpha"])
    assert "alpha" not in repr(ring) + repr(vars(ring))
    assert repr(ring) == "KeyRing(1 keys)"


@pytest.mark.parametrize("key", ["", "two words", "tab\t", "kéy"])
def test_a_malformed_key_is_refused_by_number_not_by_text(key: str) -> None:
    with pytest.raises(ValueError, match="API key number 2 is") as caught:
        KeyRing(["alpha", key])
    assert not key or key not in str(caught.value)


def test_a_key_that_looks_like_a_client_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="ek_"):
        KeyRing(["ek_1"])


def test_a_client_secret_opens_sessions_until_it_expires_and_carries_the_session() -> None:
    auth = authenticator("alpha")
    secret = auth.issue(Caller("key-1"), SessionPatch(instructions="Be brief."), ttl_s=60, now_s=100)
    assert isinstance(secret, ClientSecret)
    assert secret.value.startswith("ek_")
    assert secret.expires_at_s == 160
    assert secret.value not in repr(secret)
    assert auth.identify(secret.value, 159) == Caller("key-1", SessionPatch(instructions="Be brief."))
    assert isinstance(auth.identify(secret.value, 160), Refusal)


def test_an_unknown_client_secret_is_refused_even_where_no_key_is_needed() -> None:
    assert isinstance(authenticator().identify("ek_unknown", 0), Refusal)


@pytest.mark.parametrize("ttl_s", [9, 7_201])
def test_a_client_secret_lives_ten_seconds_to_two_hours(ttl_s: int) -> None:
    with pytest.raises(ValueError, match=str(ttl_s)):
        authenticator().issue(Caller(ANONYMOUS), SessionPatch(), ttl_s, 0)


def test_the_table_of_client_secrets_is_bounded_and_forgets_the_expired() -> None:
    auth = authenticator(max_secrets=2)
    first = auth.issue(Caller(ANONYMOUS), SessionPatch(), ttl_s=10, now_s=0)
    second = auth.issue(Caller(ANONYMOUS), SessionPatch(), ttl_s=100, now_s=0)
    assert isinstance(first, ClientSecret)
    assert isinstance(second, ClientSecret)
    refusal = auth.issue(Caller(ANONYMOUS), SessionPatch(), ttl_s=10, now_s=9)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 429
    assert isinstance(auth.issue(Caller(ANONYMOUS), SessionPatch(), ttl_s=10, now_s=10), ClientSecret)
    assert isinstance(auth.identify(second.value, 10), Caller)


@pytest.mark.parametrize(
    "origin", [None, "http://localhost:5173", "https://127.0.0.1", "http://[::1]:3000", "http://app.localhost"]
)
def test_pages_of_this_machine_are_local(origin: str | None) -> None:
    assert is_local_origin(origin)


@pytest.mark.parametrize(
    "origin", ["null", "https://example.com", "http://localhost.example.com", "http://10.0.0.1", "http://[", "file://"]
)
def test_other_pages_are_not(origin: str) -> None:
    assert not is_local_origin(origin)
