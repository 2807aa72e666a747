"""Probes: when one is due, what its answers come to, and the asking itself (Kubernetes documentation, Probes).

They are asked from the machine, at the pod's address, as kubelet does from its node.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["Counter", "ProbeSpec", "ask_http", "ask_tcp", "port_of"]

_BODY = 10 << 10
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """Seconds and counts of one probe, with the API's defaults."""

    kind: str
    what: Mapping[str, Any]
    delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3
    grace: float | None = None

    @classmethod
    def of(cls, kind: str, probe: Mapping[str, Any]) -> ProbeSpec:
        """`kind` is liveness, readiness or startup."""
        return cls(
            kind,
            probe,
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("successThreshold") or 1),
            int(probe.get("failureThreshold") or 3),
            probe.get("terminationGracePeriodSeconds"),
        )


class Counter:
    """What answers in a row come to: a probe's result changes only after as many as its thresholds say."""

    def __init__(self, spec: ProbeSpec, result: bool | None = None) -> None:
        self.spec = spec
        self.result = result
        self._last: bool | None = None
        self._in_a_row = 0

    def add(self, is_good: bool) -> bool:
        """True when the result has changed, or a failure has been confirmed again."""
        self._in_a_row = self._in_a_row + 1 if is_good == self._last else 1
        self._last = is_good
        if self._in_a_row < (self.spec.successes if is_good else self.spec.failures):
            return False
        has_changed = self.result is not is_good
        self.result = is_good
        return has_changed or not is_good


def port_of(wanted: Any, container: Mapping[str, Any]) -> int:
    """A number, or the name of one of the container's ports. Raises CellProblem."""
    if isinstance(wanted, int) or str(wanted).isdigit():
        return int(wanted)
    for port in container.get("ports") or ():
        if port.get("name") == wanted:
            return int(port["containerPort"])
    raise CellProblem(f"couldn't find port: {wanted}")


def ask_tcp(host: str, port: int, timeout: float) -> tuple[bool, str]:
    """Whether something listens, and what was seen."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except TimeoutError:
        return False, f"dial tcp {host}:{port}: i/o timeout"
    except OSError as error:
        return False, f"dial tcp {host}:{port}: connect: {(error.strerror or str(error)).lower()}"
    return True, ""


def ask_http(host: str, what: Mapping[str, Any], port: int, timeout: float) -> tuple[bool, str]:
    """Good is a status from 200 to 399. Certificates are not verified."""
    scheme, path = str(what.get("scheme") or "HTTP").lower(), str(what.get("path") or "/")
    host = str(what.get("host") or host)
    url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
    headers = {"User-Agent": "kube-probe/1.0", "Accept": "*/*", "Host": f"{host}:{port}", "Connection": "close"}
    headers.update({one["name"]: one["value"] for one in what.get("httpHeaders") or ()})
    target = path if path.startswith("/") else f"/{path}"
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    try:
        with socket.create_connection((host, port), timeout=timeout) as plain:
            connection = _unverified(plain, host) if scheme == "https" else plain
            connection.sendall("\r\n".join(lines).encode("latin-1", "replace"))
            said = b""
            while b"\n" not in said and len(said) < _BODY and (part := connection.recv(4096)):
                said += part
    except TimeoutError:
        return False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except OSError as error:
        return False, f'Get "{url}": dial tcp {host}:{port}: {(error.strerror or str(error)).lower()}'
    words = said.split(b"\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return False, f'Get "{url}": malformed HTTP response'
    status = int(words[1])
    if 200 <= status < 400:
        return True, ""
    return False, f"HTTP probe failed with statuscode: {status}"


def _unverified(plain: socket.socket, host: str) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)
