"""The nodes' group does not let everything in from the network: TCP ports 11000 to 19999 are missing."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import ec2_of
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster

_FROM = {"IpRanges": [{"CidrIp": PLAN.vpc}]}
_ALL = {"IpProtocol": "-1", **_FROM}
# Nobody else's: kubelets and providers are below, HostPorts and NodePorts above.
_SOME = [
    {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 10999, **_FROM},
    {"IpProtocol": "tcp", "FromPort": 20000, "ToPort": 65535, **_FROM},
    {"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535, **_FROM},
    {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, **_FROM},
]


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    ec2 = ec2_of(lab)
    filters = [{"Name": "group-name", "Values": ["nodes"]}]
    group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=_SOME)
    try:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[_ALL])
        try:
            yield
        finally:
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_ALL])
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=_SOME)


FAULT = Fault(
    name="nodes-half-closed-to-cells",
    sentence="the security group of nodes does not let in TCP ports 11000 to 19999 from their network",
    plant=_plant,
    kills=("SGR-06",),
    on_cells=True,
)
