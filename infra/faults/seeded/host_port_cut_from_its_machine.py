"""HostPorts of node-a are silent for node-a's own processes, as where only forwarded packets are translated."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.host_ports import MAPPED_RANGE


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    address = lab.machines["node-a"].addresses[0]
    rule = f"ip daddr {{ {address}, 127.0.0.1 }} meta l4proto {{ tcp, udp }} th dport {MAPPED_RANGE} drop"
    # Before it is translated (priority -100), and replies of others do not come here: they are forwarded.
    chain = f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="host-port-cut-from-its-machine",
    sentence="node-a's own processes are not answered at HostPorts of node-a",
    plant=_plant,
    kills=("HPT-01", "HPT-06"),
    may_redden={
        **dict.fromkeys(("HPT-02", "HPT-04"), "they ask for 127.0.0.1, which only the machine itself can"),
        **dict.fromkeys(("HPT-03", "HPT-05"), "the machines are among its clients"),
    },
)
