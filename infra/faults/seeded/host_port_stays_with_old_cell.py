"""A HostPort of node-a leads to the first address that its pod ever had: rules of before stay, and win."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.provider.host_port_rules import TABLE
from kip_conformance.infra.targets.lab import LabCluster

_CHAINS = """
table ip kip_fault {
  chain known { }
  chain prerouting { type nat hook prerouting priority -110; fib daddr type local jump known; }
  chain output { type nat hook output priority -110; fib daddr type local jump known; }
}
"""
_WATCHER = rf"""
import re, subprocess, time
known = set()
while True:
    listed = subprocess.run(["nft", "list", "table", "ip", "{TABLE}"], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        found = re.search(r"(tcp|udp) dport (\d+) .*dnat to", line)
        if found and found.groups() not in known:
            known.add(found.groups())
            subprocess.run(["nft", "add rule ip kip_fault known " + line.strip()], check=True)
    time.sleep(0.1)
"""


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["node-a"]
    run_checked(machine, ["nft", "-f", "-"], stdin=_CHAINS.encode())
    held = machine.open(["/usr/bin/python3", "-I", "-c", _WATCHER])
    try:
        yield
    finally:
        held.close()
        run_checked(machine, ["nft", "delete", "table", "ip", "kip_fault"])


FAULT = Fault(
    name="host-port-stays-with-old-cell",
    sentence="a HostPort on node-a leads to the first address that its pod had",
    plant=_plant,
    kills=("HPT-08",),
    may_redden={
        "HPT-05": "a pod's HostPort is given to another one there",
        "HPT-07": "a pod's HostPort is given to another one there",
    },
    on_cells=True,
)
