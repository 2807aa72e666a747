"""New cells go to public-b, whatever subnet their provider is in."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of, providers_told
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    filters = [{"Name": "tag:Name", "Values": ["public-b"]}]
    subnet = ec2_of(lab).describe_subnets(Filters=filters)["Subnets"][0]["SubnetId"]
    with providers_told(lab, lambda told: told["cloud"]["aws"].update(subnetID=subnet)):
        yield


FAULT = Fault(
    name="cells-in-another-subnet",
    sentence="new cells are in another subnet and zone than their provider",
    plant=_plant,
    kills=("PLC-01",),
    on_cells=True,
)
