"""The stock JavaScript clients, run by node against our server over TLS.

npm's `openai` dials wss:// only, so the server has a certificate that was made for this run and that node is told of.
"""

import datetime
import ipaddress
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from realtime.auth import KeyRing
from realtime.config import TlsConfig
from tests.realtime.wire import echo_server

HERE = Path(__file__).parent / "js"
KEY = "sk-test-key"
TIMEOUT_S = 120

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules").is_dir(), reason="the clients are not installed: npm ci --prefix tests/clients/js"
    ),
]


def self_signed(directory: Path) -> TlsConfig:
    """A certificate of this machine's loopback names, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    tls_files = directory / "cert.pem", directory / "key.pem"
    tls_files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tls_files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return TlsConfig(*tls_files)


@pytest.mark.parametrize("script", ["openai.test.mjs", "agents.test.mjs"])
def test_the_stock_client_works(script: str, start_server: Callable[..., Any], tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    server = start_server(echo_server(keys=KeyRing([KEY]), tls=tls))
    environment = {
        **os.environ,
        "OMNIWEAVE_ADDRESS": f"localhost:{server.port}",
        "OMNIWEAVE_KEY": KEY,
        "NODE_EXTRA_CA_CERTS": str(tls.cert),
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
    }
    run = subprocess.run(
        ["node", "--test", "--test-reporter=spec", script],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    server.close()
    assert run.returncode == 0, run.stdout + run.stderr
