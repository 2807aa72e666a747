"""On new cells whoever listens on the agent's port inside the pod gets the agent's connections."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import agents_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

# 1915 is the port in hexadecimal, 0A a listener (proc(5), /proc/net/tcp).
_WATCH = """
until nsenter --net=/run/netns/pod grep -q ':1915 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done 2>/dev/null
pod=$(ip -n pod -o -4 addr show veth1 | sed -E 's|.* inet ([0-9.]+)/.*|\\1|')
nft "table ip kip_fault { chain prerouting { type nat hook prerouting priority dstnat;
  iifname != veth0 tcp dport 6421 dnat to $pod; }; }"
"""
_DEFECT = f"""
import subprocess, sys
if sys.argv[-1] == "agent":
    subprocess.Popen(["sh", "-c", {_WATCH!r}])
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return agents_with(lab, _DEFECT)


FAULT = Fault(
    name="agent-port-given-away",
    sentence="a pod that listens on the port of its cell's agent gets the agent's connections",
    plant=_plant,
    kills=("MGT-01",),
    on_cells=True,
)
