"""The kubelet port of virtual nodes asks nobody who they are."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.provider.kubelet_port.access import Access, Client
async def client(self, certificate, request):
    return Client("anybody")
async def may(self, client, request):
    return True
Access.client, Access.may = client, may
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="kubelet-port-takes-anybody",
    sentence="the kubelet port of virtual nodes answers clients without a certificate or a token",
    plant=_plant,
    kills=("MGT-02",),
    on_cells=True,
)
