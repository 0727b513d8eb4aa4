"""The command: what it refuses, what it says, and that it stops cleanly."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import run_server
from realtime.config import Backend, EngineKind, KvCache, LogLevel, ServerConfig
from realtime.echo import EchoEngine
from realtime.recording.recorder import read_recording
from realtime.rtc_config import PortRange, RtcConfig, TurnServer

ROOT = Path(__file__).resolve().parents[1]


def config_of(*flags: str) -> ServerConfig:
    return run_server.config_of(run_server.parser().parse_args([*flags]))


# --- flags ----------------------------------------------------------------------------------------------------------


def test_the_defaults_are_local_and_without_keys() -> None:
    config = config_of("--engine", "echo")
    assert (config.host, config.port, len(config.keys), config.record_dir) == ("127.0.0.1", 8080, 0, None)
    assert (config.engine.backend, config.engine.kv_cache) == (Backend.AUTO, KvCache.AUTO)
    assert config.log_level is LogLevel.INFO


def test_every_flag_reaches_the_configuration(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    flags = (
        f"--engine echo --host 0.0.0.0 --port 9000 --tls-cert {tmp_path}/cert.pem --tls-key {tmp_path}/key.pem "
        f"--backend reference --kv-cache int8 --max-sessions 3 --threads 2 --record {tmp_path}/r --insecure-no-auth "
        "--idle-timeout 5 --log-level debug"
    )
    config = config_of(*flags.split())
    assert (config.host, config.port, config.allow_no_auth) == ("0.0.0.0", 9000, True)
    assert config.tls is not None
    assert config.tls.cert == tmp_path / "cert.pem"
    assert config.engine.kind is EngineKind.ECHO
    assert (config.engine.backend, config.engine.max_sessions, config.engine.num_threads) == (Backend.REFERENCE, 3, 2)
    assert config.engine.kv_cache is KvCache.INT8
    assert config.record_dir == tmp_path / "r"
    assert config.limits.idle_timeout_s == 5
    assert config.log_level is LogLevel.DEBUG


def test_flags_of_calls_reach_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_PASSWORD", "secret")
    flags = (
        "--engine echo --rtc-stun stun:stun.example.org:3478 --rtc-turn turn:turn.example.org --rtc-turn-user anna "
        "--rtc-turn-password-env RELAY_PASSWORD --rtc-ports 50000-50100 --rtc-address 203.0.113.9 --rtc-grace 20"
    )
    assert config_of(*flags.split()).rtc == RtcConfig(
        "stun:stun.example.org:3478",
        TurnServer("turn:turn.example.org", "anna", "secret"),
        PortRange(50_000, 50_100),
        ("203.0.113.9",),
        20.0,
    )


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--rtc-turn-user anna", "go with --rtc-turn"),
        ("--rtc-turn turn:turn.example.org", "needs a user name and a password"),
        ("--rtc-ports 9-3", "got '9-3'"),
        ("--rtc-address here", "got 'here'"),
    ],
)
def test_flags_of_calls_that_make_no_sense_are_refused(flags: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        config_of("--engine", "echo", *flags.split())


def test_keys_come_from_a_file_and_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("# ours\nalpha\n\nbeta  # the second\n")
    monkeypatch.setenv("KEYS", "gamma, delta,")
    config = config_of("--engine", "echo", "--api-key-file", str(tmp_path / "keys"), "--api-key-env", "KEYS")
    assert [config.keys.find(key) for key in ("alpha", "beta", "gamma", "delta", "ours")] == [
        "key-1",
        "key-2",
        "key-3",
        "key-4",
        None,
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--weights /nowhere", "no weights at /nowhere"),
        ("--engine echo --host 0.0.0.0", "no API key is set"),
        ("--engine echo --port 70000", "got 70000"),
        ("--engine echo --max-sessions 0", "got 0"),
        ("--engine echo --idle-timeout 0", "got 0.0"),
        ("--engine echo --tls-cert cert.pem", "go together"),
        ("--engine echo --tls-cert nowhere.pem --tls-key nowhere.pem", "TLS file not found: nowhere.pem"),
        ("--engine echo --api-key-file nowhere.txt", "nowhere.txt"),
        ("--engine echo --api-key-env NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE is not set"),
        ("--engine echo --host no.such.host.invalid --insecure-no-auth", "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(flags: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_server.main(flags.split()) == run_server.EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("run_server: ")
    assert said in err
    assert err.count("\n") == 1


def test_an_unknown_choice_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_server.main(["--backend", "magic"])
    assert caught.value.code == run_server.EXIT_USAGE
    assert "native" in capsys.readouterr().err


def test_a_port_in_use_is_known_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_server.main(["--engine", "echo", "--port", str(port)]) == run_server.EXIT_USAGE
    assert f"port {port}: Address already in use" in capsys.readouterr().err


# --- what it says ---------------------------------------------------------------------------------------------------


def test_the_banner_says_what_the_model_can_and_cannot_do() -> None:
    config = config_of("--engine", "echo")
    info = replace(EchoEngine().info, hears=False, draws=False, name="nano", weights_hash="0123456789abcdef")
    banner = run_server.banner(config, info, 8080)
    assert re.search(r"model +nano, weights 0123456789ab\n", banner)
    assert re.search(r"can +read, write, see, speak\n", banner)
    assert re.search(r"cannot +hear, draw\n", banner)
    assert re.search(r"backend +python, up to 8 sessions\n", banner)
    assert "python, int8 KV cache, up to 8" in run_server.banner(config, replace(info, kv_cache="int8"), 8080)
    assert "ws://localhost:8080/v1/realtime" in banner
    assert "only this machine can connect" in banner


def test_the_banner_shouts_where_anyone_can_connect() -> None:
    config = config_of("--engine", "echo", "--host", "0.0.0.0", "--insecure-no-auth")
    assert "ANYONE CAN CONNECT" in run_server.banner(config, EchoEngine().info, 1)


# --- from start to end ----------------------------------------------------------------------------------------------


@contextmanager
def running(*flags: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The command in a process of its own, once it listens, and its WebSocket URL."""
    command = [sys.executable, "-W", "error", "run_server.py", "--engine", "echo", "--port", "0", *flags]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "Realtime API" in line:
                    url = line.split()[-1]
                if line.startswith("Ctrl-C"):
                    break
            yield process, url
        finally:
            process.kill()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_sessions_with_1001_and_finishes_recordings(signal_number: int, tmp_path: Path) -> None:
    with running("--record", str(tmp_path)) as (process, url):
        with connect(url.replace("localhost", "127.0.0.1")) as client:
            assert json.loads(client.recv())["type"] == "session.created"
            process.send_signal(signal_number)
            with pytest.raises(ConnectionClosed):
                client.recv()
            assert client.protocol.close_code == 1001
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert out == "stopped\n"
        assert "Traceback" not in err
    (recording,) = tmp_path.iterdir()
    assert read_recording(recording).ending is None
