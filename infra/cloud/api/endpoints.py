"""VPC endpoints: gateway ones of S3 in route tables, interface ones with interfaces in subnets; prefix lists.

moto gives interface endpoints addresses of nowhere, leaves routes behind and lets any name be a service. Source:
"AWS PrivateLink Guide", "Gateway endpoints for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.describing import Described, describe
from kip_conformance.infra.cloud.api.errors import unknown
from kip_conformance.infra.cloud.api.interfaces import chosen_addresses, forget, make_interface
from kip_conformance.infra.cloud.api.lookups import groups_for, subnet, table, vpc
from kip_conformance.infra.cloud.api.routes import add_route, drop_route
from kip_conformance.infra.cloud.api.shapes.interfaces import groups, tags
from kip_conformance.infra.cloud.api.tokens import once
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.utils import random_resource_id, random_vpc_ep_id

__all__ = ["private_names"]

GATEWAY = ("s3",)
INTERFACE = {
    "autoscaling": ("autoscaling",), "ec2": ("ec2",), "ecr.api": ("api.ecr",), "ecr.dkr": ("dkr.ecr", "*.dkr.ecr"),
    "eks": ("eks",), "elasticloadbalancing": ("elasticloadbalancing",), "logs": ("logs",), "s3": ("s3", "*.s3"),
    "sts": ("sts",), "ssm": ("ssm",),
}  # fmt: skip
"""Services that have interface endpoints, and the first labels of their private names."""


def private_names(service_name: str, region: str) -> tuple[str, ...]:
    """The names that private DNS gives an interface endpoint's addresses."""
    short = service_name.removeprefix(f"com.amazonaws.{region}.")
    return tuple(f"{label}.{region}.amazonaws.com" for label in INTERFACE.get(short, ()))


def _shape(backend: Any, found: Any) -> dict[str, Any]:
    return {
        "CreationTimestamp": found.creation_timestamp,
        "DnsEntries": found.dns_entries,
        "Groups": groups(found.kip_groups),
        "IpAddressType": "ipv4",
        "NetworkInterfaceIds": found.network_interface_ids,
        "OwnerId": backend.account_id,
        "PolicyDocument": found.policy_document,
        "PrivateDnsEnabled": bool(found.private_dns_enabled),
        "RequesterManaged": False,
        "RouteTableIds": found.route_table_ids,
        "ServiceName": found.service_name,
        "State": found.state,
        "SubnetIds": found.subnet_ids,
        "Tags": tags(backend, found.id),
        "VpcEndpointId": found.id,
        "VpcEndpointType": found.vpc_endpoint_type,
        "VpcId": found.vpc_id,
    }


describe(
    "DescribeVpcEndpoints",
    Described(
        "VpcEndpoints", "VpcEndpointIds", "VpcEndpointId", "vpce",
        lambda call: [_shape(call.backend, one) for one in call.backend.vpc_end_points.values()],
        {
            "service-name": "ServiceName",
            "vpc-endpoint-id": "VpcEndpointId",
            "vpc-endpoint-state": "State",
            "vpc-endpoint-type": "VpcEndpointType",
            "vpc-id": "VpcId",
        },
    ),
)  # fmt: skip
describe(
    "DescribePrefixLists",
    Described(
        "PrefixLists", "PrefixListIds", "PrefixListId", "pl",
        lambda call: [
            {
                "Cidrs": [entry["Cidr"] for entry in (one.entries.get(one.version) or [])],
                "PrefixListId": one.id,
                "PrefixListName": one.prefix_list_name,
            }
            for one in call.backend.managed_prefix_lists.values()
            if one.owner_id == "AWS"
        ],
        {"prefix-list-id": "PrefixListId", "prefix-list-name": "PrefixListName"},
    ),
)  # fmt: skip


@action("DescribeVpcEndpointServices")
def services(call: Call) -> Mapping[str, Any]:
    zones = [one.name for one in call.backend.describe_availability_zones()]
    details = []
    for kind, names in (("Gateway", GATEWAY), ("Interface", INTERFACE)):
        for short in names:
            private = private_names(f"com.amazonaws.{call.region}.{short}", call.region)
            details.append(
                {
                    "AcceptanceRequired": False,
                    "AvailabilityZones": zones,
                    "Owner": "amazon",
                    "PrivateDnsNames": [{"PrivateDnsName": one} for one in private if kind == "Interface"],
                    "ServiceName": f"com.amazonaws.{call.region}.{short}",
                    "ServiceType": [{"ServiceType": kind}],
                    "Tags": [],
                    "VpcEndpointPolicySupported": True,
                }
            )
    wanted = call.params.get("ServiceNames") or []
    known = {one["ServiceName"] for one in details}
    for name in wanted:
        if name not in known:
            raise Refusal("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    shown = [one for one in details if not wanted or one["ServiceName"] in wanted]
    return {"ServiceDetails": shown, "ServiceNames": sorted({str(one["ServiceName"]) for one in shown})}


@action("CreateVpcEndpoint")
def create(call: Call) -> Mapping[str, Any]:
    made = call.backend.vpc_end_points[once(call, lambda: _make(call))]
    return {"VpcEndpoint": _shape(call.backend, made), "ClientToken": call.params.get("ClientToken")}


def _make(call: Call) -> str:
    backend, of_vpc, name = call.backend, vpc(call.backend, call.text("VpcId")), call.text("ServiceName")
    kind = call.params.get("VpcEndpointType", "Gateway")
    short = name.removeprefix(f"com.amazonaws.{call.region}.")
    if name == short or short not in (GATEWAY if kind == "Gateway" else INTERFACE):
        raise Refusal("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    made = VPCEndPoint(
        backend, random_vpc_ep_id(), of_vpc.id, name, kind, call.params.get("PolicyDocument"), [], subnet_ids=[],
        tags=call.tags("vpc-endpoint"),
    )  # fmt: skip
    made.kip_groups, made.dns_entries = [], []
    backend.vpc_end_points[made.id] = made
    if kind == "Gateway":
        _add_tables(call, made, call.params.get("RouteTableIds") or [])
        return str(made.id)
    # An interface endpoint's private DNS is on unless it is said otherwise.
    _set_private_dns(call, made, is_enabled=call.params.get("PrivateDnsEnabled") is not False)
    made.dns_entries = [
        {"DnsName": f"{made.id}-{random_resource_id(8)}.{short}.{call.region}.vpce.amazonaws.com", "HostedZoneId": "Z0"}
    ]
    if made.private_dns_enabled:
        made.dns_entries += [{"DnsName": one, "HostedZoneId": "Z0"} for one in private_names(name, call.region)]
    _add_subnets(call, made, call.params.get("SubnetIds") or [], call.params.get("SecurityGroupIds") or [])
    return str(made.id)


def _set_private_dns(call: Call, endpoint: Any, *, is_enabled: bool) -> None:
    of_vpc = vpc(call.backend, endpoint.vpc_id)
    if is_enabled and not (of_vpc.enable_dns_support and of_vpc.enable_dns_hostnames):
        raise Refusal(
            "InvalidParameter",
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true "
            f"for {of_vpc.id}",
        )
    for one in call.backend.vpc_end_points.values():
        is_same = one.vpc_id == of_vpc.id and one.service_name == endpoint.service_name and one is not endpoint
        if is_enabled and is_same and one.private_dns_enabled:
            raise Refusal(
                "InvalidParameter",
                f"private-dns-enabled cannot be set because there is already a conflicting DNS domain in the VPC "
                f"{of_vpc.id}: {one.id}",
            )
    endpoint.private_dns_enabled = is_enabled


def _prefix_list(call: Call, endpoint: Any) -> Any:
    """The prefix list of a gateway endpoint's service. Raises Refusal for an interface endpoint, which has none."""
    if endpoint.vpc_endpoint_type != "Gateway":
        raise Refusal("InvalidParameter", f"{endpoint.id} is an interface endpoint and has no route tables")
    named = (one for one in call.backend.managed_prefix_lists.values() if one.prefix_list_name == endpoint.service_name)
    return next(named)


def _add_tables(call: Call, endpoint: Any, ids: Iterable[str]) -> None:
    listed = _prefix_list(call, endpoint)
    for table_id in ids:
        found = table(call.backend, table_id)
        if found.vpc_id != endpoint.vpc_id:
            raise Refusal("InvalidParameter", f"{table_id} and {endpoint.vpc_id} belong to different networks")
        for one in found._routes.values():
            if one.destination_prefix_list is listed:
                raise Refusal(
                    "RouteAlreadyExists",
                    f"route table {table_id} already has a route with destination-prefix-list-id {listed.id}",
                )
        add_route(call.backend, found, ("GatewayId", endpoint.id), prefix_list=listed)
        endpoint.route_table_ids = [*endpoint.route_table_ids, table_id]


def _remove_tables(call: Call, endpoint: Any, ids: Iterable[str]) -> None:
    wanted = list(ids)
    listed = _prefix_list(call, endpoint) if wanted else None
    for table_id in wanted:
        if listed is not None and table_id in call.backend.route_tables:
            drop_route(call.backend.route_tables[table_id], prefix_list_id=listed.id)
        endpoint.route_table_ids = [one for one in endpoint.route_table_ids if one != table_id]


def _add_subnets(call: Call, endpoint: Any, ids: Iterable[str], group_ids: Iterable[str]) -> None:
    """An interface in each subnet, at most one a zone."""
    for subnet_id in ids:
        found = subnet(call.backend, subnet_id)
        if found.vpc_id != endpoint.vpc_id:
            raise Refusal("InvalidParameter", f"Subnet {subnet_id} is not in {endpoint.vpc_id}")
        zones = [subnet(call.backend, one).availability_zone for one in endpoint.subnet_ids]
        if found.availability_zone in zones:
            raise Refusal(
                "DuplicateSubnetsInSameZone",
                f"The endpoint has a subnet in the availability zone of {subnet_id}",
            )
        endpoint.kip_groups = endpoint.kip_groups or groups_for(call.backend, group_ids, found)
        eni = make_interface(
            call.backend, found, chosen_addresses(call.backend, found, {}), endpoint.kip_groups,
            description=f"VPC Endpoint Interface {endpoint.id}", service=endpoint.id, interface_type="vpc_endpoint",
        )  # fmt: skip
        endpoint.subnet_ids = [*endpoint.subnet_ids, subnet_id]
        endpoint.network_interface_ids = [*endpoint.network_interface_ids, eni.id]


def _remove_subnets(call: Call, endpoint: Any, ids: Iterable[str]) -> None:
    for subnet_id in ids:
        for interface_id in list(endpoint.network_interface_ids):
            eni = call.backend.enis[interface_id]
            if eni.subnet.id == subnet_id:
                forget(call.backend, eni)
                endpoint.network_interface_ids = [one for one in endpoint.network_interface_ids if one != interface_id]
        endpoint.subnet_ids = [one for one in endpoint.subnet_ids if one != subnet_id]


@action("ModifyVpcEndpoint")
def modify(call: Call) -> Mapping[str, Any]:
    params = call.params
    if (endpoint := call.backend.vpc_end_points.get(call.text("VpcEndpointId"))) is None:
        raise unknown("vpce", call.text("VpcEndpointId"))
    if policy := params.get("PolicyDocument"):
        endpoint.policy_document = policy
    _remove_tables(call, endpoint, params.get("RemoveRouteTableIds") or [])
    if added := params.get("AddRouteTableIds"):
        _add_tables(call, endpoint, added)
    _remove_subnets(call, endpoint, params.get("RemoveSubnetIds") or [])
    kept = [one.id for one in endpoint.kip_groups if one.id not in (params.get("RemoveSecurityGroupIds") or [])]
    wanted = [*kept, *(params.get("AddSecurityGroupIds") or [])]
    if endpoint.subnet_ids and (params.get("AddSecurityGroupIds") or params.get("RemoveSecurityGroupIds")):
        endpoint.kip_groups = groups_for(call.backend, wanted, subnet(call.backend, endpoint.subnet_ids[0]))
        for interface_id in endpoint.network_interface_ids:
            call.backend.enis[interface_id]._group_set = list(endpoint.kip_groups)
    _add_subnets(call, endpoint, params.get("AddSubnetIds") or [], wanted)
    if (is_enabled := params.get("PrivateDnsEnabled")) is not None:
        _set_private_dns(call, endpoint, is_enabled=bool(is_enabled))
    return {"Return": True}


@action("DeleteVpcEndpoints")
def delete(call: Call) -> Mapping[str, Any]:
    missing = []
    for endpoint_id in call.params.get("VpcEndpointIds") or []:
        if (endpoint := call.backend.vpc_end_points.get(endpoint_id)) is None:
            refusal = unknown("vpce", endpoint_id)
            missing.append({"ResourceId": endpoint_id, "Error": {"Code": refusal.code, "Message": refusal.message}})
            continue
        if endpoint.route_table_ids:
            _remove_tables(call, endpoint, list(endpoint.route_table_ids))
        _remove_subnets(call, endpoint, list(endpoint.subnet_ids))
        call.backend.vpc_end_points.pop(endpoint_id)
        call.backend.tags.pop(endpoint_id, None)
    return {"Unsuccessful": missing}
