"""A pod that does what it can against the management of its own cell: ports, load, routes, addresses.

It needs the capability NET_ADMIN, which a cell gives (docs/cell.md): routes and addresses of the pod's own network
namespace are the pod's.
"""

from __future__ import annotations

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["MEDDLER", "READY_UNTIL_TOLD", "flush_routes_and_spoof", "occupy_and_flood", "turn_unready"]

MEDDLER = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
"""What a container needs for all of this."""

_MARK = "/run/unready"
READY_UNTIL_TOLD = {
    "readinessProbe": {
        "exec": {"command": ["busybox", "test", "!", "-e", _MARK]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "timeoutSeconds": 5,
    }
}
"""What a container needs so that its status can change without anything of the network: an exec probe."""

# The processes hold the ports for as long as the container runs. The flood ends by itself, and leaves the machine some
# time for others: in a lab all cells share one.
_OCCUPY = """
import os, resource, signal, socket, sys, time
address, agent, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
first, last = map(int, open("/proc/sys/net/ipv4/ip_local_port_range").read().split())
hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
share = max(1, (hard - 50) // 2)
wanted = [agent, *range(first, last + 1)]
done, said = os.pipe()
for start in range(0, len(wanted), share):
    if os.fork() == 0:
        held = []
        for port in wanted[start:start + share]:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    held.append(socket.socket(socket.AF_INET, kind))
                    held[-1].bind(("", port))
                    if kind == socket.SOCK_STREAM and port == agent:
                        held[-1].listen()
                except OSError:
                    held.pop().close()
        os.write(said, b"%08d" % len(held))
        for number in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        while True:
            signal.pause()
total = sum(int(os.read(done, 8)) for _ in range(0, len(wanted), share))
if os.fork() == 0:
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    end = time.monotonic() + seconds
    flood = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    flood[0].bind(("", 1))
    while time.monotonic() < end:
        for _ in range(20):
            try:
                flood[0].sendto(b"x" * 1000, (address, agent))
            except OSError:
                pass
        time.sleep(0.002)
    os._exit(0)
print("occupied", total, "of", 2 * len(wanted), flush=True)
os._exit(0)
"""

_LEAST_SHARE = 0.9
"""Of the ports, what must be occupied: others may be in use by connections that end."""


def occupy_and_flood(api: ClusterReader, place: Place, address: str, port: int, *, seconds: float) -> None:
    """Take the agent's port and every port that connections come from, and send datagrams to `address` for a while.

    Raises HarnessError when the pod could not do it.
    """
    said = _done(api, place, ["/usr/bin/python3", "-I", "-c", _OCCUPY, address, str(port), str(seconds)])
    _, taken, _, wanted = said.split()
    if int(taken) < _LEAST_SHARE * int(wanted):
        raise HarnessError(f"{place.name}: {said}: too few to say that its ports are full")


def flush_routes_and_spoof(api: ClusterReader, place: Place, address: str) -> None:
    """Give the pod this address too, and take all of its routes. Raises HarnessError when it could not do it."""
    _done(api, place, ["busybox", "ip", "addr", "add", f"{address}/32", "dev", "lo"])
    _done(api, place, ["busybox", "ip", "route", "flush", "table", "main"])


def turn_unready(api: ClusterReader, place: Place) -> None:
    """From now on the probe of a pod that was made READY_UNTIL_TOLD fails. Raises HarnessError."""
    _done(api, place, ["busybox", "touch", _MARK])


def _done(api: ClusterReader, place: Place, argv: list[str]) -> str:
    ran = api.run(place, argv, timeout=30)
    if ran.exit_code != 0:
        raise HarnessError(f"{place.name}: {' '.join(argv[:3])}: {ran.refusal or ran.output.strip()[-300:]}")
    return ran.output.strip()
