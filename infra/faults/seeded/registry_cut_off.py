"""The registry on the internet answers nobody but node-a and the NAT gateway."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.cloud.region.world import REGISTRY, REGISTRY_MACHINE
from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.lab.machine import LabMachine
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)
    filters = [{"Name": "addresses.private-ip-address", "Values": [NODES[0].address]}]
    node = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"][0]["Association"]["PublicIp"]
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    kept = [node, *(one["PublicIp"] for gateway in gateways for one in gateway["NatGatewayAddresses"])]
    chain = (
        "chain input { type filter hook input priority filter; policy accept;"
        f" ip saddr != {{ {', '.join(kept)} }} tcp dport 443 drop; }}"
    )
    with nft_table(LabMachine(REGISTRY_MACHINE, (REGISTRY,), lab.control), chain):
        yield


FAULT = Fault(
    name="registry-cut-off",
    sentence="cells in public subnets do not reach the registry on the internet",
    plant=_plant,
    kills=("IMG-01",),
    on_cells=True,
)
