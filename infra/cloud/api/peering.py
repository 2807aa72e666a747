"""VPC peering connections.

moto peers VPCs whose ranges overlap, finds nothing by filters and accepts what has failed. Sources: "Amazon VPC Peering
Guide"; Amazon EC2 API Reference, CreateVpcPeeringConnection: overlapping ranges make a connection of state `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import vpc
from kip_conformance.infra.cloud.api.shapes.interfaces import tags
from kip_conformance.infra.cloud.api.vpcs import ranges_of
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnection
from moto.ec2.utils import random_vpc_peering_connection_id

__all__: list[str] = []

OPTIONS = {
    "AllowDnsResolutionFromRemoteVpc": False,
    "AllowEgressFromLocalClassicLinkToRemoteVpc": False,
    "AllowEgressFromLocalVpcToRemoteClassicLink": False,
}


def _shape(backend: Any, found: Any) -> dict[str, Any]:
    def side(of_vpc: Any, options: Mapping[str, bool]) -> dict[str, Any]:
        return {
            "CidrBlock": of_vpc.cidr_block,
            "CidrBlockSet": [{"CidrBlock": str(one)} for one in ranges_of(of_vpc)],
            "OwnerId": backend.account_id,
            "PeeringOptions": {**OPTIONS, **options},
            "Region": backend.region_name,
            "VpcId": of_vpc.id,
        }

    return {
        "AccepterVpcInfo": side(found.peer_vpc, found.accepter_options),
        "RequesterVpcInfo": side(found.vpc, found.requester_options),
        "Status": {"Code": found._status.code, "Message": found._status.message},
        "Tags": tags(backend, found.id),
        "VpcPeeringConnectionId": found.id,
    }


describe(
    "DescribeVpcPeeringConnections",
    Described(
        "VpcPeeringConnections", "VpcPeeringConnectionIds", "VpcPeeringConnectionId", "pcx",
        lambda call: [_shape(call.backend, one) for one in call.backend.vpc_pcxs.values()],
        {
            "accepter-vpc-info.cidr-block": "AccepterVpcInfo.CidrBlock",
            "accepter-vpc-info.owner-id": "AccepterVpcInfo.OwnerId",
            "accepter-vpc-info.vpc-id": "AccepterVpcInfo.VpcId",
            "requester-vpc-info.cidr-block": "RequesterVpcInfo.CidrBlock",
            "requester-vpc-info.owner-id": "RequesterVpcInfo.OwnerId",
            "requester-vpc-info.vpc-id": "RequesterVpcInfo.VpcId",
            "status-code": "Status.Code",
            "status-message": "Status.Message",
            "vpc-peering-connection-id": "VpcPeeringConnectionId",
        },
    ),
)  # fmt: skip


def _found(call: Call) -> Any:
    peering_id = call.text("VpcPeeringConnectionId")
    if (found := call.backend.vpc_pcxs.get(peering_id)) is None:
        raise unknown("pcx", peering_id)
    return found


def _overlap(found: Any) -> bool:
    return any(one.overlaps(other) for one in ranges_of(found.vpc) for other in ranges_of(found.peer_vpc))


@action("CreateVpcPeeringConnection")
def create(call: Call) -> Mapping[str, Any]:
    backend = call.backend
    requester, accepter = vpc(backend, call.text("VpcId")), vpc(backend, call.text("PeerVpcId"))
    if call.params.get("PeerRegion", call.region) != call.region:
        raise Refusal("UnsupportedOperation", "Peering with another region is not simulated")
    for one in backend.vpc_pcxs.values():
        if {one.vpc, one.peer_vpc} == {requester, accepter} and one._status.code in ("active", "pending-acceptance"):
            if one._status.code == "active":
                raise Refusal("VpcPeeringConnectionAlreadyExists", f"{one.id} connects these VPCs already")
            return {"VpcPeeringConnection": _shape(backend, one)}
    made = VPCPeeringConnection(
        backend, random_vpc_peering_connection_id(), requester, accepter, call.tags("vpc-peering-connection")
    )
    backend.vpc_pcxs[made.id] = made
    made._status.pending()
    if _overlap(made) or requester is accepter:
        made._status.code = "failed"
        made._status.message = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"
    return {"VpcPeeringConnection": _shape(backend, made)}


@action("AcceptVpcPeeringConnection")
def accept(call: Call) -> Mapping[str, Any]:
    found = _found(call)
    if found._status.code not in ("pending-acceptance", "active"):
        raise Refusal(
            "InvalidStateTransition",
            f"Invalid state transition for {found.id}, attempted to transition from {found._status.code} to active",
        )
    if _overlap(found):
        # A range was added since the request.
        raise Refusal("OperationNotPermitted", f"The ranges of {found.vpc.id} and {found.peer_vpc.id} overlap by now")
    found._status.accept()
    return {"VpcPeeringConnection": _shape(call.backend, found)}


@action("RejectVpcPeeringConnection")
def reject(call: Call) -> Mapping[str, Any]:
    found = _found(call)
    if found._status.code != "pending-acceptance":
        raise Refusal(
            "InvalidStateTransition",
            f"Invalid state transition for {found.id}, attempted to transition from {found._status.code} to rejected",
        )
    found._status.reject()
    return {"Return": True}


@action("DeleteVpcPeeringConnection")
def delete(call: Call) -> Mapping[str, Any]:
    found = _found(call)
    if found._status.code not in ("pending-acceptance", "active", "failed"):
        raise Refusal(
            "InvalidStateTransition",
            f"Invalid state transition for {found.id}, attempted to transition from {found._status.code} to deleted",
        )
    found._status.deleted(deleter_id=call.account)
    return {"Return": True}
