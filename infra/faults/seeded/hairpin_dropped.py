"""Hairpin flows of node-a are lost, as they are where a proxy does not masquerade them and the pod meets itself."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    own = [place.address for place in lab.places if place.kind == "pod" and place.machine == "node-a"]
    rules = " ".join(f"ct original ip saddr {address} ct reply ip saddr {address} drop;" for address in own)
    return nft_table(lab.machines["node-a"], f"chain forward {{ type filter hook forward priority 0; {rules} }}")


_SELF = "a pod is among its own Service's endpoints"

FAULT = Fault(
    name="hairpin-dropped",
    sentence="a pod of node-a cannot reach itself through a Service",
    plant=_plant,
    kills=("SVC-04", "SVC-01", "SVC-03"),
    may_redden=dict.fromkeys(
        (
            *("NPT-01", "IDN-05", "SVC-05", "SVC-07", "SVC-10", "SVC-11", "SVC-15", "SVC-16", "SVC-18", "PXY-05"),
            *("NPT-03", "NPT-05", "AFF-01", "MTU-02"),
        ),
        _SELF,
    ),
    every_mode=True,
)
