"""What a pod is told at the port of a cell's agent: TLS, with a certificate of one's own, or none."""

from __future__ import annotations

import datetime

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["AGENT_PORT", "REFUSED", "foreign_identity", "knock"]

AGENT_PORT = 6421
REFUSED = "refused"

# A TLS 1.3 server refuses a client's certificate only after the client's own part of the handshake is over.
_KNOCK = """
import socket, ssl, sys, tempfile
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if identity := sys.argv[3]:
    with tempfile.NamedTemporaryFile("w", dir="/run") as chain:
        chain.write(identity)
        chain.flush()
        context.load_cert_chain(chain.name)
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as plain:
    print("connected")
    try:
        with context.wrap_socket(plain) as secured:
            secured.sendall(b"GET /v1/ping HTTP/1.1\\r\\nHost: cell\\r\\nConnection: close\\r\\n\\r\\n")
            print(secured.recv(100) or "refused")
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        print("refused")
"""


def knock(api: ClusterReader, place: Place, address: str, identity: str = "") -> str:
    """Ask the agent at `address` for /v1/ping from a place's pod; `identity` is PEM: certificate and key.

    "refused" when the handshake came to nothing, else what it answered. Raises HarnessError when there was no
    connection at all, or the attempt itself could not be made.
    """
    ran = api.run(place, ["/usr/bin/python3", "-I", "-c", _KNOCK, address, str(AGENT_PORT), identity])
    said = ran.output.split("\n")
    if ran.exit_code != 0 or said[0] != "connected":
        raise HarnessError(
            f"{place.name}: no connection to {address}:{AGENT_PORT}: {ran.refusal or ran.output.strip()[-300:]}"
        )
    return said[1]


def foreign_identity() -> str:
    """A client certificate that nobody trusts, and its key, in PEM: signed by itself, in the name of the provider."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kip-provider")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()
