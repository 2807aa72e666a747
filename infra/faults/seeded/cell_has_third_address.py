"""The cell of cell-b has a third private address."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of, interface_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2, interface = ec2_of(lab), interface_of(lab, "cell-b")
    made = ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=1)
    addresses = [one["PrivateIpAddress"] for one in made["AssignedPrivateIpAddresses"]]
    try:
        yield
    finally:
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=addresses)


FAULT = Fault(
    name="cell-has-third-address",
    sentence="the cell of cell-b has a third private address",
    plant=_plant,
    kills=("ADR-01",),
    on_cells=True,
)
