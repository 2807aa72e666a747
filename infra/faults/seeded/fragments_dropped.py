"""node-b drops all fragments but the first before they are put together; whole packets pass."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    # Before connection tracking puts fragments together, which it does at -400.
    chain = (
        "chain prerouting { type filter hook prerouting priority -450; policy accept; ip frag-off & 0x1fff != 0 drop; }"
    )
    return nft_table(lab.machines["node-b"], chain)


FAULT = Fault(
    name="fragments-dropped",
    sentence="node-b drops fragments",
    plant=_plant,
    kills=("MTU-02",),
    every_mode=True,
)
