"""What a server may be told, and what it says when told nonsense."""

from pathlib import Path

import pytest

from realtime.auth import KeyRing
from realtime.config import EngineConfig, EngineKind, LogLevel, ServerConfig, TlsConfig

ECHO = EngineConfig(EngineKind.ECHO)


def test_loopback_needs_no_key() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert ServerConfig(ECHO, host=host).is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_any_other_host_needs_a_key_or_an_explicit_waiver(host: str) -> None:
    with pytest.raises(ValueError, match=f"{host} can be reached from other machines"):
        ServerConfig(ECHO, host=host)
    assert not ServerConfig(ECHO, host=host, keys=KeyRing(["alpha"])).is_local
    assert not ServerConfig(ECHO, host=host, allow_no_auth=True).is_local


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_out_of_range_is_named(port: int) -> None:
    with pytest.raises(ValueError, match=str(port)):
        ServerConfig(ECHO, port=port)


@pytest.mark.parametrize("host", ["", "http://localhost", "a b"])
def test_a_host_that_is_not_a_host_is_named(host: str) -> None:
    with pytest.raises(ValueError, match="host must be a name or an address"):
        ServerConfig(ECHO, host=host)


def test_a_model_needs_weights_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got none"):
        EngineConfig()
    with pytest.raises(ValueError, match="nowhere"):
        EngineConfig(weights=tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    assert EngineConfig(weights=tmp_path).weights == tmp_path


@pytest.mark.parametrize("field", ["max_sessions", "num_threads"])
def test_engine_counts_start_at_one(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        EngineConfig(EngineKind.ECHO, **{field: 0})


def test_tls_needs_both_files(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("")
    with pytest.raises(ValueError, match=r"TLS file not found: .*key\.pem"):
        TlsConfig(cert, tmp_path / "key.pem")


def test_recordings_need_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="is a file"):
        ServerConfig(ECHO, record_dir=file)
    assert ServerConfig(ECHO, record_dir=tmp_path / "new").record_dir


def test_the_url_is_one_that_can_be_clicked() -> None:
    assert ServerConfig(ECHO).url(8080) == "http://localhost:8080"
    assert ServerConfig(ECHO, host="0.0.0.0", allow_no_auth=True).url(1) == "http://localhost:1"
    assert ServerConfig(ECHO, host="fe80::1", allow_no_auth=True).url(1) == "http://[fe80::1]:1"


def test_log_levels_have_the_numbers_of_logging() -> None:
    assert [level.number for level in LogLevel] == [10, 20, 30, 40]
