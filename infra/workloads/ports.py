"""Binding a port inside a container from a process of its own, to see whether the port is free there."""

from __future__ import annotations

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place, Protocol4
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["PORT_TAKEN", "bound"]

PORT_TAKEN = "EADDRINUSE"

# No option that lets sockets share a port: neither SO_REUSEADDR nor SO_REUSEPORT.
_BIND = """
import errno, socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as own:
    try:
        own.bind(("0.0.0.0", int(sys.argv[2])))
        if sys.argv[1] == "tcp":
            own.listen()
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("bound")
"""


def bound(api: ClusterReader, place: Place, protocol: Protocol4, port: int) -> str:
    """Bind a port in the container of a place for a moment; "bound", or the name of the error, such as PORT_TAKEN.

    Raises HarnessError when the attempt itself could not be made.
    """
    ran = api.run(place, ["/usr/bin/python3", "-I", "-S", "-c", _BIND, protocol, str(port)])
    if ran.exit_code != 0:
        raise HarnessError(
            f"{place.name}: could not try to bind {protocol} {port}: {ran.refusal or ran.output.strip()}"
        )
    return ran.output.strip()
