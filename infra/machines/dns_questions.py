"""Which DNS questions leave a pod while its own resolver library looks a name up: captured on the pod's machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.machines.packets import Packet, read_packets
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.prober import decode_name
from kip_conformance.infra.targets.protocol import Cluster, Place

__all__ = ["names_in", "questions_asked"]

# The C library's resolver with the pod's own settings. A server that is silent must not take minutes.
_LOOK_UP = """
import os, socket, sys
os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
try:
    socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET)
except socket.gaierror:
    pass
"""


def questions_asked(cluster: Cluster, driver: Driver, pod: Place, name: str) -> tuple[str, ...]:
    """The names that were asked for, each once, in the order in which they first were, with a dot at the end.

    Raises HarnessError when the lookup could not be run or nothing could be captured.
    """
    if pod.pod is None:
        raise HarnessError(f"place {pod.name} is not a pod: nothing can be looked up in it")
    argv = ["/usr/bin/python3", "-I", "-S", "-c", _LOOK_UP, name]
    with cluster.machines[pod.machine].capture(f"src host {pod.address} and udp dst port 53") as capture:
        done = driver.execute(pod.pod, argv, timeout=20)
        # The name itself is asked for last. The capture may be a little behind what has happened.
        with contextlib.suppress(WaitFailed):
            eventually(lambda: names_in(read_packets(capture.so_far())), lambda seen: f"{name}." in seen, within=1.0)
        packets = read_packets(capture.stop())
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise HarnessError(f"{pod.name}: the lookup ended with {done.returncode}: {said}")
    label = name.partition(".")[0]
    return tuple(asked for asked in names_in(packets) if asked.startswith(f"{label}."))


def names_in(packets: Iterable[Packet]) -> tuple[str, ...]:
    """The names asked for in DNS packets over UDP, each once, in order of appearance; damaged packets are left out."""
    found: dict[str, None] = {}
    for packet in packets:
        try:
            found.setdefault(decode_name(packet.data, 12)[0])
        except ValueError:
            continue
    return tuple(found)
