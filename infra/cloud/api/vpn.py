"""Virtual private gateways, customer gateways and the VPN connections between them.

moto has no static routes, no tunnels and no propagation, and describes what is deleted as if it were there. Source:
"AWS Site-to-Site VPN User Guide"; Amazon EC2 API Reference, CreateVpnConnection, CreateVpnConnectionRoute.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from xml.sax.saxutils import escape

from kip_conformance.infra.cloud.api.addresses import free_public
from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.lookups import vpc
from kip_conformance.infra.cloud.api.shapes.interfaces import tags
from moto.ec2.models.vpn_gateway import VPCGatewayAttachment

__all__: list[str] = []


def _gateway(backend: Any, found: Any) -> dict[str, Any]:
    return {
        "AmazonSideAsn": int(found.amazon_side_asn or 64512),
        "State": found.state,
        "Tags": tags(backend, found.id),
        "Type": "ipsec.1",
        "VpcAttachments": [{"State": one.state, "VpcId": key} for key, one in found.attachments.items()],
        "VpnGatewayId": found.id,
    }


def _customer(backend: Any, found: Any) -> dict[str, Any]:
    return {
        "BgpAsn": str(found.bgp_asn or 65000),
        "CustomerGatewayId": found.id,
        "IpAddress": found.ip_address,
        "State": found.state,
        "Tags": tags(backend, found.id),
        "Type": "ipsec.1",
    }


def _connection(backend: Any, found: Any) -> dict[str, Any]:
    shape = {
        "Category": "VPN",
        "CustomerGatewayId": found.customer_gateway_id,
        "GatewayAssociationState": "associated",
        "Options": {"StaticRoutesOnly": True, "TunnelOptions": found.kip_tunnels},
        "Routes": [{"DestinationCidrBlock": one, "Source": "Static", "State": "available"} for one in found.kip_routes],
        "State": found.state,
        "Tags": tags(backend, found.id),
        "Type": "ipsec.1",
        "VgwTelemetry": [
            {"AcceptedRouteCount": len(found.kip_routes), "OutsideIpAddress": one["OutsideIpAddress"], "Status": "UP"}
            for one in found.kip_tunnels
        ],
        "VpnConnectionId": found.id,
        "VpnGatewayId": found.vpn_gateway_id,
    }
    if found.state != "deleted":
        shape["CustomerGatewayConfiguration"] = _configuration(backend, found)
    return shape


def _configuration(backend: Any, found: Any) -> str:
    """What the customer's side is configured from, in the form and the order of the real document, without its BGP."""
    outside = backend.customer_gateways[found.customer_gateway_id].ip_address
    tunnels = "".join(
        "<ipsec_tunnel>"
        f"<customer_gateway><tunnel_outside_address><ip_address>{outside}</ip_address></tunnel_outside_address>"
        f"<tunnel_inside_address>{_inside(one, 2)}</tunnel_inside_address></customer_gateway>"
        f"<vpn_gateway><tunnel_outside_address><ip_address>{one['OutsideIpAddress']}</ip_address>"
        f"</tunnel_outside_address><tunnel_inside_address>{_inside(one, 1)}</tunnel_inside_address></vpn_gateway>"
        f"<ike><pre_shared_key>{escape(one['PreSharedKey'])}</pre_shared_key></ike>"
        "</ipsec_tunnel>"
        for one in found.kip_tunnels
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><vpn_connection id="{found.id}">'
        f"<customer_gateway_id>{found.customer_gateway_id}</customer_gateway_id>"
        f"<vpn_gateway_id>{found.vpn_gateway_id}</vpn_gateway_id>"
        f"<vpn_connection_type>ipsec.1</vpn_connection_type>{tunnels}</vpn_connection>"
    )


def _inside(tunnel: Mapping[str, Any], number: int) -> str:
    network = IPv4Network(tunnel["TunnelInsideCidr"])
    address = network.network_address + number
    return (
        f"<ip_address>{address}</ip_address><network_mask>{network.netmask}</network_mask>"
        f"<network_cidr>{network.prefixlen}</network_cidr>"
    )


describe(
    "DescribeVpnGateways",
    Described(
        "VpnGateways", "VpnGatewayIds", "VpnGatewayId", "vgw",
        lambda call: [_gateway(call.backend, one) for one in call.backend.vpn_gateways.values()],
        {
            "amazon-side-asn": "AmazonSideAsn",
            "attachment.state": "VpcAttachments.State",
            "attachment.vpc-id": "VpcAttachments.VpcId",
            "state": "State",
            "type": "Type",
            "vpn-gateway-id": "VpnGatewayId",
        },
    ),
)  # fmt: skip
describe(
    "DescribeCustomerGateways",
    Described(
        "CustomerGateways", "CustomerGatewayIds", "CustomerGatewayId", "cgw",
        lambda call: [_customer(call.backend, one) for one in call.backend.customer_gateways.values()],
        {
            "bgp-asn": "BgpAsn",
            "customer-gateway-id": "CustomerGatewayId",
            "ip-address": "IpAddress",
            "state": "State",
            "type": "Type",
        },
    ),
)  # fmt: skip
describe(
    "DescribeVpnConnections",
    Described(
        "VpnConnections", "VpnConnectionIds", "VpnConnectionId", "vpn",
        lambda call: [_connection(call.backend, one) for one in call.backend.vpn_connections.values()],
        {
            "customer-gateway-id": "CustomerGatewayId",
            "option.static-routes-only": "Options.StaticRoutesOnly",
            "route.destination-cidr-block": "Routes.DestinationCidrBlock",
            "state": "State",
            "type": "Type",
            "vpn-connection-id": "VpnConnectionId",
            "vpn-gateway-id": "VpnGatewayId",
        },
    ),
)  # fmt: skip


def _found(call: Call, parameter: str, where: Mapping[str, Any], prefix: str) -> Any:
    """What a parameter names; a deleted one is described for a while, but nothing can be done with it."""
    found = where.get(call.text(parameter))
    if found is None or found.state == "deleted":
        raise unknown(prefix, call.text(parameter))
    return found


@action("CreateVpnGateway")
def create_gateway(call: Call) -> Mapping[str, Any]:
    made = call.backend.create_vpn_gateway("ipsec.1", call.params.get("AmazonSideAsn"))
    if given := call.tags("vpn-gateway"):
        call.backend.create_tags([made.id], given)
    return {"VpnGateway": _gateway(call.backend, made)}


@action("AttachVpnGateway")
def attach(call: Call) -> Mapping[str, Any]:
    found = _found(call, "VpnGatewayId", call.backend.vpn_gateways, "vgw")
    vpc_id = vpc(call.backend, call.text("VpcId")).id
    for one in call.backend.vpn_gateways.values():
        for key, attachment in one.attachments.items():
            if attachment.state != "attached" or (one is found and key == vpc_id):
                continue
            if one is found:
                raise Refusal("VpnGatewayAttachmentLimitExceeded", f"{found.id} is attached to {key} already")
            if key == vpc_id:
                raise Refusal("InvalidParameterValue", f"{vpc_id} has the virtual private gateway {one.id} already")
    found.attachments = {vpc_id: VPCGatewayAttachment(vpc_id, state="attached")}
    return {"VpcAttachment": {"State": "attaching", "VpcId": vpc_id}}


@action("DetachVpnGateway")
def detach(call: Call) -> Mapping[str, Any]:
    found, vpc_id = _found(call, "VpnGatewayId", call.backend.vpn_gateways, "vgw"), call.text("VpcId")
    attachment = found.attachments.get(vpc_id)
    if attachment is None or attachment.state != "attached":
        raise Refusal(
            "InvalidVpnGatewayAttachment.NotFound", f"The attachment with vpn gateway ID '{found.id}' does not exist"
        )
    attachment.state = "detached"
    return {}


@action("DeleteVpnGateway")
def delete_gateway(call: Call) -> Mapping[str, Any]:
    found = _found(call, "VpnGatewayId", call.backend.vpn_gateways, "vgw")
    is_attached = any(one.state == "attached" for one in found.attachments.values())
    is_used = any(
        one.vpn_gateway_id == found.id and one.state != "deleted" for one in call.backend.vpn_connections.values()
    )
    if is_attached or is_used:
        raise Refusal("IncorrectState", f"The vpnGateway {found.id} is in use.")
    found.state = "deleted"
    return {}


@action("CreateCustomerGateway")
def create_customer(call: Call) -> Mapping[str, Any]:
    address = call.params.get("IpAddress") or call.text("PublicIp")
    try:
        IPv4Address(address)
    except ValueError as error:
        raise Refusal("InvalidParameterValue", f"Value ({address}) for parameter ipAddress is invalid.") from error
    made = call.backend.create_customer_gateway("ipsec.1", address, call.params.get("BgpAsn"))
    if given := call.tags("customer-gateway"):
        call.backend.create_tags([made.id], given)
    return {"CustomerGateway": _customer(call.backend, made)}


@action("DeleteCustomerGateway")
def delete_customer(call: Call) -> Mapping[str, Any]:
    found = _found(call, "CustomerGatewayId", call.backend.customer_gateways, "cgw")
    for one in call.backend.vpn_connections.values():
        if one.customer_gateway_id == found.id and one.state != "deleted":
            raise Refusal("IncorrectState", f"The customer gateway {found.id} is in use.")
    found.state = "deleted"
    return {}


@action("CreateVpnConnection")
def create_connection(call: Call) -> Mapping[str, Any]:
    customer = _found(call, "CustomerGatewayId", call.backend.customer_gateways, "cgw")
    gateway = _found(call, "VpnGatewayId", call.backend.vpn_gateways, "vgw")
    options = call.params.get("Options") or {}
    if not options.get("StaticRoutesOnly"):
        raise Refusal("UnsupportedOperation", "Dynamic routing (BGP) is not simulated: give StaticRoutesOnly")
    asked = list(options.get("TunnelOptions") or [])
    made = call.backend.create_vpn_connection("ipsec.1", customer.id, vpn_gateway_id=gateway.id)
    # The pool's last addresses: the first go to instances, which come and go.
    outside = free_public(call.backend, call.settings, 2, last=True)
    made.kip_routes = []
    made.kip_tunnels = [_tunnel(made.id, number, outside[number], asked) for number in (0, 1)]
    if given := call.tags("vpn-connection"):
        call.backend.create_tags([made.id], given)
    return {"VpnConnection": {**_connection(call.backend, made), "State": "pending"}}


def _tunnel(connection_id: str, number: int, outside: str, asked: list[Mapping[str, Any]]) -> dict[str, Any]:
    wanted = asked[number] if number < len(asked) else {}
    digest = int(hashlib.sha256(f"{connection_id}/{number}".encode()).hexdigest(), 16)
    # 169.254.8.0/21: clear of the ranges that the API reserves within 169.254.0.0/16.
    inside = IPv4Network((int(IPv4Address("169.254.8.0")) + digest % 512 * 4, 30))
    return {
        "OutsideIpAddress": outside,
        "TunnelInsideCidr": wanted.get("TunnelInsideCidr") or str(inside),
        "PreSharedKey": wanted.get("PreSharedKey") or secrets.token_urlsafe(24).replace("-", "_"),
    }


@action("DeleteVpnConnection")
def delete_connection(call: Call) -> Mapping[str, Any]:
    _found(call, "VpnConnectionId", call.backend.vpn_connections, "vpn").state = "deleted"
    return {}


@action("CreateVpnConnectionRoute", "DeleteVpnConnectionRoute")
def change_routes(call: Call) -> Mapping[str, Any]:
    found = _found(call, "VpnConnectionId", call.backend.vpn_connections, "vpn")
    try:
        destination = str(IPv4Network(call.text("DestinationCidrBlock"), strict=False))
    except ValueError as error:
        raise Refusal(
            "InvalidParameterValue", f"Value ({call.text('DestinationCidrBlock')}) is not a valid CIDR block."
        ) from error
    is_there = destination in found.kip_routes
    if call.name.startswith("Create"):
        if not is_there:
            found.kip_routes = [*found.kip_routes, destination]
    elif not is_there:
        raise Refusal("InvalidRoute.NotFound", f"{found.id} has no route to {destination}")
    else:
        found.kip_routes = [one for one in found.kip_routes if one != destination]
    return {}
