"""The cell of cell-private has a public address, though its subnet is private."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of, interface_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    try:
        interface = interface_of(lab, "cell-private")
        made = ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface)["AssociationId"]
        try:
            yield
        finally:
            ec2.disassociate_address(AssociationId=made)
    finally:
        ec2.release_address(AllocationId=address)


FAULT = Fault(
    name="public-address-in-private-subnet",
    sentence="a cell in the private subnet has a public address",
    plant=_plant,
    kills=("PUB-03",),
    may_redden={
        "EGR-02": "the cell's own address stands in for the NAT gateway's",
    },
    on_cells=True,
)
