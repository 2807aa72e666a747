"""A provider that is outside of the cloud's network takes the first subnet of the region, whatever it is told."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
import dataclasses
from kip_conformance.infra.provider import provider
sound = provider.find_place
async def find_place(cloud, settings, own):
    if own is None:
        subnets = sorted(one["SubnetId"] for one in await cloud.all("describe_subnets"))
        settings = dataclasses.replace(settings, subnet_id=subnets[0])
    return await sound(cloud, settings, own)
provider.find_place = find_place
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="outside-provider-picks-a-subnet",
    sentence="a provider outside of the cloud's network puts cells into any subnet",
    plant=_plant,
    kills=("PLC-02",),
    on_cells=True,
)
