"""What can be seen of a running server from outside: its resident memory, through /proc, and its counters."""

import re
import urllib.request
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h
TIMEOUT_S = 5.0


def find_listener(port: int, proc: Path = Path("/proc")) -> int | None:
    """The process that listens on a TCP port of this machine; None where it cannot be told."""
    sockets = set()
    for table in ("net/tcp", "net/tcp6"):
        if not (proc / table).exists():
            continue
        for line in (proc / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    for folder in proc.iterdir():
        if folder.name.isdigit() and sockets & _open_files(folder):
            return int(folder.name)
    return None


def _open_files(process: Path) -> set[str]:
    found = set()
    try:
        for link in (process / "fd").iterdir():
            found.add(str(link.readlink()))
    except OSError:  # another user's process, or one that just ended
        pass
    return found


def resident_mib(pid: int, proc: Path = Path("/proc")) -> float | None:
    """Resident memory of a process; None once it is gone."""
    try:
        status = (proc / str(pid) / "status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def read_counters(url: str) -> dict[str, float] | None:
    """The counters of the server's /metrics by name and labels; None where it has none."""
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    try:
        with urllib.request.urlopen(f"{scheme}://{parts.netloc}/metrics", timeout=TIMEOUT_S) as response:
            text = response.read().decode()
    except (URLError, TimeoutError):
        return None
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines if name.split("{")[0].endswith("_total")}
