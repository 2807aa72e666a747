"""The TCP listener of one place refuses everybody, itself at 127.0.0.1 included: the harness is broken, not the net."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import inside_pod, nft_table, place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    victim = place(lab, "node-b")
    machine = lab.machines[victim.machine]
    ports = ", ".join(str(port) for port in victim.ports)
    chain = (
        "chain input { type filter hook input priority filter; policy accept;"
        f" tcp dport {{ {ports} }} reject with tcp reset; }}"
    )
    return nft_table(machine, chain, enter=inside_pod(machine, victim.address))


FAULT = Fault(
    name="listener-dead",
    sentence="the TCP listeners of the place node-b are dead",
    plant=_plant,
    is_harness=True,
)
