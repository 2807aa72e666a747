"""What a region has before anybody has made anything: default DHCP options, and the prefix list of S3.

moto has neither as the API describes them: its default options are not found, its prefix list is that of the real
cloud, whose addresses nothing here may use.
"""

from __future__ import annotations

from typing import Any

from kip_conformance.infra.cloud.api.settings import Settings

__all__ = ["begin"]


def begin(backend: Any, settings: Settings) -> None:
    """Bring a new region's state into form; a state that was taken up from disk stays as it is."""
    if not hasattr(backend, "kip_default_options"):
        domain = "ec2.internal" if settings.region == "us-east-1" else f"{settings.region}.compute.internal"
        options = backend.create_dhcp_options(["AmazonProvidedDNS"], [domain])
        backend.kip_default_options = options.id
        for vpc in backend.vpcs.values():
            vpc.dhcp_options = options
        _only_our_prefix_lists(backend)
        for default in (one for groups in backend.groups.values() for one in groups.values()):
            if not default.ingress_rules:
                backend.authorize_security_group_ingress(
                    default.id, "-1", None, None, [], {}, source_groups=[{"GroupId": default.id}], vpc_id=default.vpc_id
                )
        _connect_default_network(backend)
    for one in backend.managed_prefix_lists.values():
        if one.prefix_list_name == f"com.amazonaws.{settings.region}.s3":
            one.entries = {1: [{"Cidr": settings.s3_range, "Description": "the simulated S3"}]}
            one.version = 1


def _only_our_prefix_lists(backend: Any) -> None:
    if not backend.managed_prefix_lists:
        backend.create_default_pls()
    for key, one in list(backend.managed_prefix_lists.items()):
        if not one.prefix_list_name.endswith(".s3"):
            del backend.managed_prefix_lists[key]


def _connect_default_network(backend: Any) -> None:
    """The default VPC has an internet gateway and a route to it ("Amazon VPC User Guide, Default VPCs")."""
    from kip_conformance.infra.cloud.api.routes import add_route

    vpc = backend.get_default_vpc()
    gateway = backend.create_internet_gateway()
    gateway.vpc = vpc
    for table in backend.route_tables.values():
        if table.vpc_id == vpc.id:
            add_route(backend, table, ("GatewayId", gateway.id), cidr="0.0.0.0/0")
