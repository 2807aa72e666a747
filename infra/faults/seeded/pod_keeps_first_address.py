"""status.podIP stays what it was first, whatever cell its pod is on by now."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider import status
sound, first = status.from_agent, {}
def from_agent(pod, *rest):
    made = sound(pod, *rest)
    if made["podIP"]:
        address = first.setdefault(pod["metadata"]["uid"], made["podIP"])
        made |= {"podIP": address, "podIPs": [{"ip": address}]}
    return made
status.from_agent = from_agent
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="pod-keeps-first-address",
    sentence="the status of a pod whose cell was replaced has the address of its first cell",
    plant=_plant,
    kills=("ADR-05",),
    may_redden={"HPT-08": "the pod's address does not change there either"},
    on_cells=True,
)
