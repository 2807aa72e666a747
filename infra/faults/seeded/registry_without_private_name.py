"""The registry's name is not that of its interface endpoint any more: it leads to the internet."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)
    filters = [{"Name": "tag:Name", "Values": ["ecr.dkr"]}]
    endpoint = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"][0]["VpcEndpointId"]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=False)
    try:
        yield
    finally:
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=True)


FAULT = Fault(
    name="registry-without-private-name",
    sentence="the interface endpoint of the region's registry has no private name",
    plant=_plant,
    kills=("IMG-02",),
    on_cells=True,
)
