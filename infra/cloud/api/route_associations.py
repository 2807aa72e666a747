"""What route tables are associated with, and propagation from virtual private gateways.

moto answers an association of a subnet that has one with the old one, whatever table was asked for, and has no
propagation. Source: "Amazon VPC User Guide, Route tables".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import subnet, table
from kip_conformance.infra.cloud.api.routes import networks_of_gateway
from moto.ec2.utils import random_subnet_association_id

__all__: list[str] = []


def _holder(backend: Any, association_id: str) -> Any:
    for found in backend.route_tables.values():
        if association_id == found.main_association_id or association_id in found._associations:
            return found
    raise unknown("rtbassoc", association_id)


@action("AssociateRouteTable")
def associate(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    if gateway_id := call.params.get("GatewayId"):
        networks, target = networks_of_gateway(call.backend, gateway_id), gateway_id
    else:
        target = call.text("SubnetId")
        networks = {subnet(call.backend, target).vpc_id}
    if found.vpc_id not in networks:
        raise Refusal("InvalidParameterValue", f"route table {found.id} and {target} belong to different networks")
    for other in call.backend.route_tables.values():
        for association_id, associated in other._associations.items():
            if associated == target and other is not found:
                raise Refusal(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {found.id} conflicts with an existing association",
                )
            if associated == target:
                return {"AssociationId": association_id, "AssociationState": {"State": "associated"}}
    association_id = random_subnet_association_id()
    found._associations[association_id] = target
    return {"AssociationId": association_id, "AssociationState": {"State": "associated"}}


@action("DisassociateRouteTable")
def disassociate(call: Call) -> Mapping[str, Any]:
    association_id = call.text("AssociationId")
    found = _holder(call.backend, association_id)
    if association_id == found.main_association_id:
        raise Refusal("InvalidParameterValue", f"cannot disassociate the main route table association {association_id}")
    found._associations.pop(association_id)
    return {}


@action("ReplaceRouteTableAssociation")
def replace_association(call: Call) -> Mapping[str, Any]:
    association_id = call.text("AssociationId")
    new, old = table(call.backend, call.text("RouteTableId")), _holder(call.backend, association_id)
    if new.vpc_id != old.vpc_id:
        raise Refusal("InvalidParameterValue", f"route tables {old.id} and {new.id} belong to different networks")
    made = random_subnet_association_id()
    if association_id == old.main_association_id:
        old.main_association_id, new.main_association_id = None, made
    else:
        new._associations[made] = old._associations.pop(association_id)
    return {"NewAssociationId": made, "AssociationState": {"State": "associated"}}


@action("EnableVgwRoutePropagation", "DisableVgwRoutePropagation")
def propagate(call: Call) -> Mapping[str, Any]:
    found = table(call.backend, call.text("RouteTableId"))
    gateway_id = call.text("GatewayId")
    networks = networks_of_gateway(call.backend, gateway_id)
    others = [one for one in getattr(found, "kip_propagating", []) if one != gateway_id]
    if call.name.startswith("Disable"):
        found.kip_propagating = others
        return {}
    if found.vpc_id not in networks:
        raise Refusal("Gateway.NotAttached", f"resource {gateway_id} is not attached to network {found.vpc_id}")
    found.kip_propagating = [*others, gateway_id]
    return {}
