"""The cell of cell-b has a further security group that lets in whoever is on premises."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of, interface_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2, interface = ec2_of(lab), interface_of(lab, "cell-b")
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    own = [group["GroupId"] for group in found["Groups"]]
    extra = ec2.create_security_group(VpcId=found["VpcId"], GroupName="anyway", Description="a fault")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=extra, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": PLAN.on_prem}]}]
    )
    try:
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[*own, extra])
        yield
    finally:
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=own)
        ec2.delete_security_group(GroupId=extra)


FAULT = Fault(
    name="site-admitted-anyway",
    sentence="cell-b lets in whoever is on premises, whatever extraCIDRs says",
    plant=_plant,
    kills=("XCD-01",),
    on_site=True,
)
