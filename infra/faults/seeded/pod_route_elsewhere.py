"""In the public subnets a part of node-a's pod CIDR is routed to node-b's instance: what an earlier node left."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

# The last addresses of the range: no pod has them before some 250 have been there.
_PART = "10.244.1.252/30"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)

    def named(name: str) -> list[dict[str, object]]:
        return [{"Name": "tag:Name", "Values": [name]}]

    table = ec2.describe_route_tables(Filters=named("public"))["RouteTables"][0]["RouteTableId"]
    found = ec2.describe_instances(Filters=named("node-b"))["Reservations"]
    other = found[0]["Instances"][0]["InstanceId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=_PART, InstanceId=other)
    try:
        yield
    finally:
        ec2.delete_route(RouteTableId=table, DestinationCidrBlock=_PART)


FAULT = Fault(
    name="pod-route-elsewhere",
    sentence="a part of node-a's pod CIDR is routed to node-b",
    plant=_plant,
    kills=("CRT-01",),
    on_cells=True,
)
