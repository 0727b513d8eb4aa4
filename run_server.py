"""The server: flags → config → engine → serve. The only module that knows both the runtime and the model.

`python run_server.py` serves the default model on http://localhost:8080; `--help` lists the rest.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

from realtime.auth import KeyRing
from realtime.config import (
    DEFAULT_HOST,
    DEFAULT_MAX_SESSIONS,
    DEFAULT_PORT,
    Backend,
    EngineConfig,
    EngineKind,
    KvCache,
    LogLevel,
    ServerConfig,
    TlsConfig,
)
from realtime.echo import EchoEngine
from realtime.engine import Engine, EngineInfo
from realtime.limits import Limits
from realtime.rtc_config import DEFAULT_GRACE_S, PortRange, RtcConfig, TurnServer
from realtime.server import build_server

ROOT = Path(__file__).resolve().parent
DEFAULT_WEIGHTS = ROOT / "weights" / "nano"
BROWSER_DIR = ROOT / "clients" / "browser"
EXIT_FAILURE = 1
EXIT_USAGE = 2  # as argparse


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped. Returns the exit status."""
    args = parser().parse_args(argv)
    try:
        config = config_of(args)
        listener = bind(config.host, config.port)
    except (ValueError, OSError) as error:
        print(f"run_server: {error}", file=sys.stderr)
        return EXIT_USAGE
    configure_logging(config.log_level)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs inherit SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        with listener:
            engine = load(config.engine)
            listener.listen()  # so that whoever reads what follows can connect at once
            print(banner(config, engine.info, listener.getsockname()[1]), flush=True)
            build_server(config, engine, server_version=server_version()).run(sockets=[listener])
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except (ValueError, OSError) as error:
        print(f"run_server: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def configure_logging(level: LogLevel) -> None:
    logging.basicConfig(
        level=level.number, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"
    )
    if level is not LogLevel.DEBUG:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its news of starting and stopping are told below


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# --- flags → config -------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="run_server.py", description="Serve a multimodal full-duplex agent over the OpenAI Realtime protocol."
    )
    add = result.add_argument_group("where to listen").add_argument
    add("--host", default=DEFAULT_HOST, help="address (default: %(default)s, this machine only; 0.0.0.0 for all)")
    add("--port", type=int, default=DEFAULT_PORT, help="port (default: %(default)s; 0 takes a free one)")
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): serve https:// and wss://")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's private key (PEM)")

    add = result.add_argument_group("what to run").add_argument
    add("--weights", type=Path, default=DEFAULT_WEIGHTS, metavar="DIR", help="checkpoint (default: %(default)s)")
    kinds, backends, levels = ([str(choice) for choice in choices] for choices in (EngineKind, Backend, LogLevel))
    add("--engine", choices=kinds, default=kinds[0], help="echo needs no weights: it says back what it reads and hears")
    add("--backend", choices=backends, default=backends[0], help="how packed weights are multiplied (default: fastest)")
    stored = "what keys and values are stored in (default: int8 on the native backend, else bfloat16)"
    add("--kv-cache", choices=[str(choice) for choice in KvCache], default=str(KvCache.AUTO), help=stored)
    add("--max-sessions", type=int, default=DEFAULT_MAX_SESSIONS, metavar="N", help="at a time (default: %(default)s)")
    add("--threads", type=int, metavar="N", help="cores the model may use (default: all)")
    add("--record", type=Path, metavar="DIR", help="write each session to an MCAP file in DIR (default: do not)")

    add = result.add_argument_group("whom to serve").add_argument
    add("--api-key-file", type=Path, metavar="FILE", help="accepted keys, one a line; # begins a comment")
    add("--api-key-env", metavar="NAME", help="environment variable with accepted keys, separated by commas")
    add("--insecure-no-auth", action="store_true", help="serve anyone, also where other machines can connect")
    idle_s, session_s = Limits().idle_timeout_s, Limits().max_session_s
    add(
        "--idle-timeout", type=float, default=idle_s, metavar="SECONDS", help="of silent clients (default: %(default)g)"
    )
    add("--max-session", type=float, default=session_s, metavar="SECONDS", help="of any session (default: ten years)")
    add = result.add_argument_group("WebRTC calls, where a NAT or a firewall is in the way").add_argument
    add("--rtc-stun", metavar="URL", help="such as stun:stun.example.org:3478 (default: none)")
    add("--rtc-turn", metavar="URL", help="relay, such as turn:turn.example.org:3478?transport=udp (default: none)")
    add("--rtc-turn-user", metavar="NAME", help="the relay's user name")
    add("--rtc-turn-password-env", metavar="NAME", help="environment variable with the relay's password")
    add("--rtc-ports", metavar="FIRST-LAST", help="UDP ports, one a call and address (default: whichever are free)")
    add("--rtc-address", action="append", default=[], metavar="IP", help="outside address to offer too; repeatable")
    wait = "how long a session waits for a client that fell silent (default: %(default)g)"
    add("--rtc-grace", type=float, default=DEFAULT_GRACE_S, metavar="SECONDS", help=wait)
    result.add_argument("--log-level", choices=levels, default=str(LogLevel.INFO), help="(default: %(default)s)")
    return result


def config_of(args: argparse.Namespace) -> ServerConfig:
    """The flags as a configuration. ValueError or OSError where they make none."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise ValueError("--tls-cert and --tls-key go together, only one was given")
    return ServerConfig(
        engine=EngineConfig(
            kind=EngineKind(args.engine),
            weights=args.weights,
            backend=Backend(args.backend),
            kv_cache=KvCache(args.kv_cache),
            max_sessions=args.max_sessions,
            num_threads=args.threads,
        ),
        host=args.host,
        port=args.port,
        tls=TlsConfig(args.tls_cert, args.tls_key) if args.tls_cert else None,
        keys=read_keys(args.api_key_file, args.api_key_env),
        allow_no_auth=args.insecure_no_auth,
        limits=Limits(idle_timeout_s=args.idle_timeout, max_session_s=args.max_session),
        rtc=rtc_config_of(args),
        record_dir=args.record,
        browser_dir=BROWSER_DIR if (BROWSER_DIR / "index.html").is_file() else None,
        log_level=LogLevel(args.log_level),
    )


def rtc_config_of(args: argparse.Namespace) -> RtcConfig:
    turn: TurnServer | None = None
    if args.rtc_turn is not None:
        password = os.environ.get(args.rtc_turn_password_env or "", "")
        turn = TurnServer(args.rtc_turn, args.rtc_turn_user or "", password)
    elif args.rtc_turn_user or args.rtc_turn_password_env:
        raise ValueError("--rtc-turn-user and --rtc-turn-password-env go with --rtc-turn, which was not given")
    return RtcConfig(
        stun_url=args.rtc_stun,
        turn=turn,
        ports=PortRange.parse(args.rtc_ports) if args.rtc_ports else None,
        addresses=tuple(args.rtc_address),
        grace_s=args.rtc_grace,
    )


def read_keys(file: Path | None, variable: str | None) -> KeyRing:
    keys: list[str] = []
    if file is not None:
        lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
        keys += [line for line in lines if line]
        if not keys:
            raise ValueError(f"--api-key-file: no keys in {file}")
    if variable is not None:
        found = [key.strip() for key in os.environ.get(variable, "").split(",") if key.strip()]
        if not found:
            raise ValueError(f"--api-key-env: {variable} is not set or empty")
        keys += found
    return KeyRing(keys)


def bind(host: str, port: int) -> socket.socket:
    """A socket of our own, so that a port in use is known before a model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(f"cannot listen on {host}: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host}, port {port}: {error.strerror}. Another --port may be free.") from error
    return listener


# --- config → engine ------------------------------------------------------------------------------------------------


def load(config: EngineConfig) -> Engine:
    """The engine. Says what it waits for, and how long it took."""
    if config.kind is EngineKind.ECHO:
        return EchoEngine(max_sessions=config.max_sessions)
    print(f"loading {config.weights} ...", flush=True)
    started_s = time.monotonic()
    engine = load_model(config)
    print(f"loaded in {time.monotonic() - started_s:.1f} s", flush=True)
    return engine


def load_model(config: EngineConfig) -> Engine:
    """Raises ValueError or OSError where the checkpoint, or a backend that was asked for by name, cannot be used."""
    from model.kernels.native_abi import NativeUnavailable  # importing torch takes seconds that --help need not wait
    from model.loading import load_engine

    assert config.weights is not None, "checked by EngineConfig"
    try:
        return load_engine(
            config.weights,
            backend=config.backend,
            kv_cache=config.kv_cache,
            max_sessions=config.max_sessions,
            num_threads=config.num_threads or num_cores(),
        )
    except NativeUnavailable as error:
        raise ValueError(f"--backend {config.backend}: {error}") from error


def num_cores() -> int:
    """Those this process may run on, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def build_engine(*, backend: str | None = None, max_sessions: int = DEFAULT_MAX_SESSIONS, kv_cache: str = "") -> Engine:
    """The default model, for those who need an engine without a server."""
    return load_model(
        EngineConfig(
            weights=DEFAULT_WEIGHTS,
            backend=Backend.AUTO if backend is None else Backend(backend),
            kv_cache=KvCache(kv_cache) if kv_cache else KvCache.AUTO,
            max_sessions=max_sessions,
        )
    )


# --- what runs ------------------------------------------------------------------------------------------------------


def banner(config: ServerConfig, info: EngineInfo, port: int) -> str:
    url = config.url(port)
    if config.keys:
        keys = f"{len(config.keys)} accepted"
    else:
        keys = "none needed: only this machine can connect" if config.is_local else "none needed: ANYONE CAN CONNECT"
    kv_cache = f", {info.kv_cache} KV cache" if info.kv_cache else ""
    facts = {
        "model": f"{info.name}, weights {info.weights_hash[:12]}",
        "backend": f"{info.backend}{kv_cache}, up to {info.max_sessions} sessions",
        "can": ", ".join(abilities(info)),
        "cannot": ", ".join(abilities(info, can=False)) or "-",
        "API keys": keys,
        "recordings": str(config.record_dir) if config.record_dir else "off (--record DIR)",
        "Realtime API": f"{url.replace('http', 'ws', 1)}/v1/realtime",
        "open": url,
    }
    lines = [f"  {name:<13} {fact}" for name, fact in facts.items()]
    return "\n".join([f"OmniWeave Realtime {server_version()}", *lines, "Ctrl-C stops."])


def abilities(info: EngineInfo, can: bool = True) -> list[str]:
    table = {"hear": info.hears, "see": info.sees, "speak": info.speaks, "draw": info.draws}
    return (["read", "write"] if can else []) + [name for name, able in table.items() if able == can]


def server_version() -> str:
    try:
        return version("omniweave-realtime")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
