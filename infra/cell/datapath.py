"""The pod's network namespace and its way to the VPC; which packets are translated and refused is rules.py's.

The instance's interface keeps the management address. The pod's address is on no interface of the root namespace: it is
in the namespace `pod`, behind a veth pair, and the machine forwards. Nobody asks by ARP for it: the VPC routes to it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["GATEWAY", "NETNS", "Uplink", "find_uplink", "make_pod_network"]

NETNS = "pod"
GATEWAY = "169.254.1.1"
"""The pod's next hop: an address that nobody has, with a neighbour entry that never ends."""
_OUTER_MAC, _INNER_MAC = "02:00:a9:fe:01:01", "02:00:a9:fe:01:02"


@dataclass(frozen=True, slots=True)
class Uplink:
    """The interface with the default route, the management address on it, and its MTU in bytes."""

    device: str
    address: str
    mtu: int


def find_uplink() -> Uplink:
    """Raises CellProblem when the machine has no default route."""
    shown = run(["ip", "-4", "route", "show", "default"])
    device = re.search(r"\bdev (\S+)", shown)
    if device is None:
        raise CellProblem("this machine has no default route: its interface was not configured")
    source = re.search(r"\bsrc (\S+)", shown)
    address = source[1] if source else run(["ip", "-o", "-4", "addr", "show", "dev", device[1], "scope", "global"])
    found = re.search(r"(\d+(?:\.\d+){3})", address)
    if found is None:
        raise CellProblem(f"{device[1]} has no address")
    return Uplink(device[1], found[1], int(Path("/sys/class/net", device[1], "mtu").read_text()))


def make_pod_network(uplink: Uplink, pod_address: str) -> None:
    """Make the namespace, or leave it as it is when it is there already. Raises CellProblem."""
    if not os.path.exists(f"/run/netns/{NETNS}"):
        run(["ip", "netns", "add", NETNS])
    if not os.path.exists("/sys/class/net/veth0"):
        outer = ["ip", "link", "add", "veth0", "address", _OUTER_MAC, "type", "veth"]
        run([*outer, "peer", "name", "veth1", "address", _INNER_MAC, "netns", NETNS])
    for path, value in _SYSCTLS.items():
        _sysctl(path, value)
    # The interface's own MTU on both ends: a pod's whole packets are as large as its instance's.
    run(["ip", "-batch", "-"], stdin=_outer(uplink, pod_address))
    run(["ip", "-n", NETNS, "-batch", "-"], stdin=_inner(uplink, pod_address))


_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/veth0/rp_filter": "0",
    "ipv4/conf/veth0/send_redirects": "0",
    # No IPv6 here: its link-local addresses would be a way from the pod to the machine.
    "ipv6/conf/veth0/disable_ipv6": "1",
}


def _outer(uplink: Uplink, pod_address: str) -> str:
    return "\n".join(
        (
            f"link set veth0 mtu {uplink.mtu} up",
            f"neigh replace {pod_address} lladdr {_INNER_MAC} dev veth0 nud permanent",
            f"route replace {pod_address}/32 dev veth0 scope link src {uplink.address}",
            "",
        )
    )


def _inner(uplink: Uplink, pod_address: str) -> str:
    return "\n".join(
        (
            "link set lo up",
            f"link set veth1 mtu {uplink.mtu} up",
            f"addr replace {pod_address}/32 dev veth1",
            f"neigh replace {GATEWAY} lladdr {_OUTER_MAC} dev veth1 nud permanent",
            f"route replace {GATEWAY} dev veth1 scope link src {pod_address}",
            f"route replace default via {GATEWAY} dev veth1 src {pod_address}",
            "",
        )
    )


def _sysctl(path: str, value: str) -> None:
    try:
        Path("/proc/sys/net", path).write_text(value)
    except FileNotFoundError:
        if not path.startswith("ipv6/"):  # a kernel without IPv6 needs no such setting
            raise CellProblem(f"/proc/sys/net/{path} is not there") from None
    except OSError as error:
        raise CellProblem(f"/proc/sys/net/{path}: {error.strerror}") from error
