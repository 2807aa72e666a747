"""An init container that uses the network with its very first instructions, once each, and says what came of it.

No interpreter is started first: a shell's builtin writes, netcat connects, nslookup asks. Nothing is tried twice.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place

__all__ = ["FIRST", "early_container", "read_report"]

FIRST = "first"
"""The container's name."""

_NONCE = "first-instruction"
_SCRIPT = r"""
exec >/dev/termination-log 2>&1
printf 'kip1 {nonce} 00000000 00000000\n' | nc -w {seconds} {address} {port} | grep -q '"name":"{name}"'
echo "tcp $?"
domain=$(sed -n 's/^search .* svc\.\([^ ]*\).*/\1/p' /etc/resolv.conf)
nslookup -timeout={seconds} -retry=1 "{service}.svc.$domain" | grep -q '^Name:'
echo "dns $?"
"""


def early_container(image: str, server: Place, service: str, *, timeout: float) -> dict[str, Any]:
    """A container, the first of its pod, that connects to the prober of `server` and resolves a Service's name.

    `image` is the prober's; `service` is "name.namespace": nslookup knows no search path, so that the container puts
    the cluster's domain behind it, as its resolv.conf has it. `timeout`, in seconds, is rounded up to whole ones. The
    container always succeeds, so that the pod starts whatever it saw; `read_report` reads that.
    """
    script = _SCRIPT.format(
        nonce=_NONCE,
        seconds=ceil(timeout),
        address=server.address,
        port=server.ports[0],
        name=server.name,
        service=service,
    )
    return {"name": FIRST, "image": image, "command": ["/bin/sh", "-c", script]}


def read_report(message: str) -> dict[str, str]:
    """What the container left in its termination message: "works" or "failed" for tcp and for dns.

    Raises HarnessError for anything else.
    """
    found = dict(re.findall(r"^(tcp|dns) (\d+)$", message, flags=re.MULTILINE))  # programs complain there, too
    if found.keys() != {"tcp", "dns"}:
        raise HarnessError(f"the container {FIRST} left no report but {message[:200]!r}")
    return {what: "works" if code == "0" else "failed" for what, code in found.items()}
