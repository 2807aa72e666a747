"""The private subnet of node-b has a way to the internet that is no gateway: node-a forwards and translates."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.cloud.outside import OUTSIDE
from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.plan import NODES, PLAN
from kip_conformance.infra.targets.lab import LabCluster

_NOT_CUT_OFF = "the subnet that it cuts off from the internet for a while still has a way there"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2, node = ec2_of(lab), NODES[0]
    tables = ec2.describe_route_tables(Filters=[{"Name": "tag:Name", "Values": ["private-a"]}])["RouteTables"]
    owner = ec2.describe_network_interfaces(
        Filters=[{"Name": "addresses.private-ip-address", "Values": [node.address]}]
    )["NetworkInterfaces"][0]["NetworkInterfaceId"]
    route = {"RouteTableId": tables[0]["RouteTableId"], "DestinationCidrBlock": OUTSIDE.cidr}
    chain = (
        "chain leaving { type nat hook postrouting priority srcnat - 10; policy accept;"
        f" ip saddr {PLAN.private_a} ip daddr {OUTSIDE.cidr} snat to {node.address}; }}"
    )
    with nft_table(lab.machines[node.name], chain):
        ec2.create_route(**route, NetworkInterfaceId=owner)
        try:
            yield
        finally:
            ec2.delete_route(**route)


FAULT = Fault(
    name="private-subnet-leaks",
    sentence="what leaves the private subnet of node-b for the internet goes by node-a, whatever gateways there are",
    plant=_plant,
    kills=("EGR-02", "EGR-03"),
    may_redden=dict.fromkeys(("IMG-02", "IMG-03", "BTS-01", "BTS-02", "BTS-05"), _NOT_CUT_OFF),
    on_cells=True,
)
