"""node-a masquerades what its pods send through a Service, as with masqueradeAll, which the lab does not declare."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain postrouting { type nat hook postrouting priority srcnat + 5; policy accept;"
        f" ct status dnat ip saddr {pod_range('node-a')} masquerade; }}"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="snat-through-services",
    sentence="node-a masquerades what its pods send through a ClusterIP",
    plant=_plant,
    kills=("IDN-05",),
    every_mode=True,
)
