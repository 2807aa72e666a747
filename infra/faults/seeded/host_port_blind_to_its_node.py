"""Providers do not look at the pods of the node on their own machine: a HostPort that one has goes to a cell's, too."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider.host_ports import HostPorts
async def nobody(_):
    return []
HostPorts._kubelet_pods = nobody
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="host-port-blind-to-its-node",
    sentence="a cell's pod is given a HostPort that a pod of the node on the same machine has",
    plant=_plant,
    kills=("HPT-07",),
    on_cells=True,
)
