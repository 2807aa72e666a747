"""The view's parts from moto's state. Everything is in the order in which it was made."""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.cloud import view
from kip_conformance.infra.cloud.api.endpoints import private_names
from kip_conformance.infra.cloud.api.lookups import all_groups, all_subnets
from kip_conformance.infra.cloud.api.shapes import routes as route_shapes
from kip_conformance.infra.cloud.api.shapes.interfaces import associations
from kip_conformance.infra.cloud.api.vpcs import ranges_of

__all__ = ["parts"]

TARGETS = ("GatewayId", "NatGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId", "InstanceId")


def parts(backend: Any) -> dict[str, tuple[Any, ...]]:
    """The members of a CloudView that come from the state."""
    return {
        "vpcs": tuple(_vpc(backend, one) for one in backend.vpcs.values()),
        "subnets": _subnets(backend),
        "route_tables": tuple(_table(backend, one) for one in backend.route_tables.values()),
        "interfaces": tuple(_interface(backend, one) for one in backend.enis.values()),
        "groups": tuple(
            view.Group(one.id, one.name, one.vpc_id, _rules(one.ingress_rules), _rules(one.egress_rules))
            for one in all_groups(backend)
        ),
        "prefix_lists": tuple(
            view.PrefixList(
                one.id, one.prefix_list_name, tuple(entry["Cidr"] for entry in one.entries.get(one.version) or [])
            )
            for one in backend.managed_prefix_lists.values()
        ),
        "internet_gateways": tuple(
            view.InternetGateway(one.id, one.vpc.id if one.vpc is not None else "")
            for one in backend.internet_gateways.values()
        ),
        "nat_gateways": tuple(
            view.NatGateway(one.id, one.vpc_id, one.subnet_id, one.kip_interface, one.private_ip, one.kip_public)
            for one in backend.nat_gateways.values()
            if one.state == "available"
        ),
        "endpoints": tuple(_endpoint(backend, one) for one in backend.vpc_end_points.values()),
        "peerings": tuple(
            view.Peering(one.id, one.vpc.id, one.peer_vpc.id)
            for one in backend.vpc_pcxs.values()
            if one._status.code == "active"
        ),
        "vpn_gateways": tuple(
            view.VpnGateway(one.id, next((k for k, a in one.attachments.items() if a.state == "attached"), ""))
            for one in backend.vpn_gateways.values()
            if one.state == "available"
        ),
        "vpn_connections": tuple(
            _connection(backend, one) for one in backend.vpn_connections.values() if one.state == "available"
        ),
        "dhcp_options": tuple(_options(one) for one in backend.dhcp_options_sets.values()),
        "instances": tuple(
            _instance(backend, one, reservation.id)
            for reservation in backend.reservations.values()
            for one in reservation.instances
            if one.state != "terminated"
        ),
    }


def _tags(backend: Any, resource_id: str) -> dict[str, str]:
    return dict(backend.tags.get(resource_id) or {})


def _vpc(backend: Any, one: Any) -> view.Vpc:
    return view.Vpc(
        one.id, tuple(str(cidr) for cidr in ranges_of(one)), bool(one.enable_dns_support),
        bool(one.enable_dns_hostnames), one.dhcp_options.id if one.dhcp_options is not None else "",
        _tags(backend, one.id),
    )  # fmt: skip


def _subnets(backend: Any) -> tuple[view.Subnet, ...]:
    own: dict[str, str] = {}
    main: dict[str, str] = {}
    for table in backend.route_tables.values():
        own.update(dict.fromkeys(table._associations.values(), table.id))
        if table.main_association_id:
            main[table.vpc_id] = table.id
    return tuple(
        view.Subnet(
            one.id, one.vpc_id, one.cidr_block, one.availability_zone, own.get(one.id) or main[one.vpc_id],
            _tags(backend, one.id),
        )
        for one in all_subnets(backend)
    )  # fmt: skip


def _table(backend: Any, one: Any) -> view.RouteTable:
    routes = []
    for shape in route_shapes.routes(backend, one):
        destination = shape.get("DestinationCidrBlock") or shape.get("DestinationPrefixListId")
        if destination:
            # A route to an instance is one to its interface, which is what packets go to.
            names = ("NetworkInterfaceId", *TARGETS)
            target = next(shape[name] for name in names if shape.get(name))
            is_propagated = shape["Origin"] == "EnableVgwRoutePropagation"
            routes.append(view.Route(destination, target, shape["State"], is_propagated))
    associated = tuple(one._associations.values())
    return view.RouteTable(
        one.id, one.vpc_id, bool(one.main_association_id),
        tuple(target for target in associated if target.startswith("subnet-")),
        tuple(target for target in associated if not target.startswith("subnet-")),
        tuple(routes), _tags(backend, one.id),
    )  # fmt: skip


def _interface(backend: Any, one: Any) -> view.Interface:
    others = [entry["PrivateIpAddress"] for entry in one.private_ip_addresses]
    return view.Interface(
        id=one.id, subnet=one.subnet.id, vpc=one.subnet.vpc_id, mac=one.mac_address,
        addresses=(one.private_ip_address, *(other for other in others if other != one.private_ip_address)),
        public={private: entry["PublicIp"] for private, entry in associations(backend, one).items()},
        groups=tuple(group.id for group in one._group_set), source_dest_check=bool(one.source_dest_check),
        kind=one.interface_type, service=getattr(one, "kip_service", ""),
        instance=one.instance.id if one.instance is not None else "",
        device_index=int(one.device_index or 0) if one.instance is not None else 0,
    )  # fmt: skip


def _rules(rules: list[Any]) -> tuple[view.Rule, ...]:
    made = []
    for rule in rules:
        protocol = "all" if rule.ip_protocol == "-1" else str(rule.ip_protocol)
        has_ports = rule.from_port is not None and protocol in ("tcp", "udp", "icmp")
        ports = (int(rule.from_port), int(rule.to_port)) if has_ports else None
        if rule.ip_range.get("CidrIp"):
            made.append(view.Rule(protocol, ports, cidr=rule.ip_range["CidrIp"]))
        elif rule.prefix_list_id:
            made.append(view.Rule(protocol, ports, prefix_list=rule.prefix_list_id))
        elif rule.source_group.get("GroupId"):
            made.append(view.Rule(protocol, ports, group=rule.source_group["GroupId"]))
    return tuple(made)


def _endpoint(backend: Any, one: Any) -> view.Endpoint:
    names = private_names(one.service_name, backend.region_name) if one.private_dns_enabled else ()
    return view.Endpoint(
        one.id, one.vpc_id, one.vpc_endpoint_type, one.service_name, tuple(one.route_table_ids),
        tuple(one.network_interface_ids), tuple(group.id for group in one.kip_groups), names,
    )  # fmt: skip


def _connection(backend: Any, one: Any) -> view.VpnConnection:
    return view.VpnConnection(
        one.id, one.vpn_gateway_id, backend.customer_gateways[one.customer_gateway_id].ip_address,
        tuple(one.kip_routes),
        tuple(view.Tunnel(t["OutsideIpAddress"], t["TunnelInsideCidr"], t["PreSharedKey"]) for t in one.kip_tunnels),
    )  # fmt: skip


def _options(one: Any) -> view.DhcpOptions:
    values = {key: tuple(value or ()) for key, value in one._options.items()}
    return view.DhcpOptions(
        one.id, next(iter(values["domain-name"]), ""), values["domain-name-servers"], values["ntp-servers"]
    )


def _public_key(backend: Any, name: str | None) -> str:
    pair = backend.key_pairs.get(name)
    return str(pair.public_key).strip() if pair is not None else ""


def _instance(backend: Any, one: Any, reservation: str) -> view.Instance:
    association = backend.iam_instance_profile_associations.get(one.id)
    roles = association.iam_instance_profile.roles if association is not None else []
    options = one.metadata_options
    return view.Instance(
        id=one.id, type=one.instance_type, image=one.image_id, state=one.state, zone=one.placement.zone,
        vpc=one.nics[0].subnet.vpc_id, interfaces={str(index): eni.id for index, eni in sorted(one.nics.items())},
        user_data=one.user_data or "", role=roles[0].name if roles else "", key_name=one.key_name or "",
        launch_index=int(one.ami_launch_index), boots=one.kip_boots, tags=_tags(backend, one.id),
        metadata_tokens=options.http_tokens or "optional",
        metadata_hop_limit=int(options.http_put_response_hop_limit or 1),
        metadata_endpoint=options.http_endpoint or "enabled",
        metadata_tags=options.instance_metadata_tags or "disabled", reservation=reservation,
        launched=one.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"), public_key=_public_key(backend, one.key_name),
    )  # fmt: skip
