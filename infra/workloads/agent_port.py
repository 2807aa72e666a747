"""What a pod is told at the port of a cell's agent, or of a kubelet: TLS, with a certificate of one's own, or none."""

from __future__ import annotations

import datetime

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["AGENT_PORT", "REFUSED", "UNAUTHORIZED", "foreign_identity", "knock"]

AGENT_PORT = 6421
REFUSED, UNAUTHORIZED = "refused", "unauthorized"

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
            secured.sendall(f"GET {sys.argv[4]} HTTP/1.1\\r\\nHost: it\\r\\nConnection: close\\r\\n\\r\\n".encode())
            said = secured.recv(100)
            print("refused" if not said else "unauthorized" if said.split()[1:2] == [b"401"] else said)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        print("refused")
"""


def knock(
    api: ClusterReader,
    place: Place,
    address: str,
    identity: str = "",
    *,
    port: int = AGENT_PORT,
    path: str = "/v1/ping",
) -> str:
    """Ask for a path from a place's pod, by default of an agent; `identity` is PEM: certificate and key.

    "refused" when the handshake came to nothing, "unauthorized" for HTTP's 401, else what was answered. Raises
    HarnessError when there was no connection at all, or the attempt itself could not be made.
    """
    ran = api.run(place, ["/usr/bin/python3", "-I", "-c", _KNOCK, address, str(port), identity, path])
    said = ran.output.split("\n")
    if ran.exit_code != 0 or said[0] != "connected":
        raise HarnessError(
            f"{place.name}: no connection to {address}:{port}: {ran.refusal or ran.output.strip()[-300:]}"
        )
    return said[1]


def foreign_identity() -> str:
    """A client certificate in the name of the provider, and its key, in PEM: of an authority that nobody trusts."""
    from kip_conformance.infra.certificates import new_authority

    day = datetime.timedelta(days=1)
    made = new_authority("anybody", lifetime=day).issue("kip-provider", lifetime=day, is_client=True)
    return made.pem + made.key_pem
