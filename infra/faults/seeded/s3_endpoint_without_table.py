"""The gateway endpoint of S3 is not in the route table of the private subnet with node-b."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_NO_AGENT = "without a gateway its cell does not come up at all"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)
    table = ec2.describe_route_tables(Filters=[{"Name": "tag:Name", "Values": ["private-a"]}])["RouteTables"][0]
    endpoint = ec2.describe_vpc_endpoints(Filters=[{"Name": "tag:Name", "Values": ["s3"]}])["VpcEndpoints"][0]
    identifier, tables = endpoint["VpcEndpointId"], [table["RouteTableId"]]
    ec2.modify_vpc_endpoint(VpcEndpointId=identifier, RemoveRouteTableIds=tables)
    try:
        yield
    finally:
        ec2.modify_vpc_endpoint(VpcEndpointId=identifier, AddRouteTableIds=tables)


FAULT = Fault(
    name="s3-endpoint-without-table",
    sentence="the private subnet of node-b has no route to the gateway endpoint of S3",
    plant=_plant,
    kills=("BTS-01",),
    may_redden={"IMG-02": _NO_AGENT, "IMG-03": _NO_AGENT},
    on_cells=True,
)
