"""From what the cloud's API says to what an instance finds around itself: metadata, names, DHCP lease. Pure values.

Not in a view of the cloud: the names of peers, whose public names resolve as everybody's do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from kip_conformance.infra.cloud import view as cloud
from kip_conformance.infra.cloud.facts import (
    HostedZone,
    InstanceFacts,
    InterfaceFacts,
    LeaseFacts,
    MetadataOptions,
    RoleFacts,
    Upstream,
    ZoneFacts,
    internal_domain,
    public_name,
)
from kip_conformance.infra.fabric.names import nic_namespace

__all__ = ["Surroundings", "zone_id"]

_PROVIDED = "AmazonProvidedDNS"


def zone_id(zone: str) -> str:
    """The id of a zone: euc1-az1 for eu-central-1a. In the cloud letters differ between accounts, here they do not."""
    area, *directions, number = zone[:-1].split("-")
    direction = "".join(directions)
    short = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}.get(direction, direction[:1])
    return f"{area}{short}{number}-az{ord(zone[-1]) - ord('a') + 1}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Looks things up in one view. `netns` names an interface's NIC namespace; `role` gives credentials by its name.

    Methods raise KeyError for what the view does not have.
    """

    view: cloud.CloudView
    upstream: Upstream | None = None
    netns: Callable[[str], str] = nic_namespace
    role: Callable[[str], RoleFacts | None] = lambda _: None
    _interfaces: Mapping[str, cloud.Interface] = field(init=False, repr=False)
    _groups: Mapping[str, cloud.Group] = field(init=False, repr=False)
    _instances: Mapping[str, cloud.Instance] = field(init=False, repr=False)
    _subnets: Mapping[str, cloud.Subnet] = field(init=False, repr=False)
    _vpcs: Mapping[str, cloud.Vpc] = field(init=False, repr=False)
    _options: Mapping[str, cloud.DhcpOptions] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, values in (
            ("_interfaces", self.view.interfaces),
            ("_groups", self.view.groups),
            ("_instances", self.view.instances),
            ("_subnets", self.view.subnets),
            ("_vpcs", self.view.vpcs),
            ("_options", self.view.dhcp_options),
        ):
            object.__setattr__(self, name, {value.id: value for value in values})

    def instance(self, instance_id: str) -> InstanceFacts:
        """What the metadata service tells it."""
        told = self._instances[instance_id]
        ids = [interface for _, interface in sorted(told.interfaces.items(), key=lambda item: int(item[0]))]
        interfaces = tuple(self._interface(self._interfaces[interface]) for interface in ids)
        vpc, primary = self._vpcs[told.vpc], interfaces[0]
        has_public_names = vpc.dns_support and vpc.dns_hostnames
        public = next((public for public, private in primary.public if private == primary.addresses[0]), "")
        return InstanceFacts(
            instance_id=told.id,
            instance_type=told.type,
            image_id=told.image,
            region=self.view.region,
            zone=told.zone,
            zone_id=zone_id(told.zone),
            account=self.view.account,
            hostname=f"ip-{primary.addresses[0].replace('.', '-')}.{self._domains(vpc)[0]}",
            interfaces=interfaces,
            user_data=base64.b64decode(told.user_data) if told.user_data else None,
            tags=tuple(sorted(told.tags.items())),
            role=self.role(told.role) if told.role else None,
            options=MetadataOptions(
                is_enabled=told.metadata_endpoint == "enabled",
                requires_token=told.metadata_tokens == "required",
                hop_limit=told.metadata_hop_limit,
                shows_tags=told.metadata_tags == "enabled",
            ),
            public_hostname=public_name(public, self.view.region) if public and has_public_names else "",
            launch_index=told.launch_index,
            reservation_id=told.reservation,
            pending_time=told.launched,
            keys=((told.key_name, told.public_key),) if told.public_key else (),
        )

    def zone(self, vpc_id: str) -> ZoneFacts:
        """What the resolver of a VPC knows."""
        vpc = self._vpcs[vpc_id]
        inside = [interface for interface in self.view.interfaces if interface.vpc == vpc_id]
        hosted = [
            HostedZone(name.removeprefix("*."), ((name, self._addresses(endpoint)),))
            for endpoint in self.view.endpoints
            if endpoint.vpc == vpc_id
            for name in endpoint.names
        ]
        return ZoneFacts(
            vpc_id=vpc_id,
            region=self.view.region,
            cidrs=vpc.cidrs,
            addresses=tuple(address for interface in inside for address in interface.addresses),
            public=tuple((public, private) for interface in inside for private, public in interface.public.items()),
            hosted=tuple(hosted),
            upstream=self.upstream,
            dns_support=vpc.dns_support,
            dns_hostnames=vpc.dns_hostnames,
        )

    def lease(self, instance_id: str) -> LeaseFacts:
        """What DHCP tells its primary interface. A VPC without options tells no name servers."""
        primary = self._interfaces[self._instances[instance_id].interfaces["0"]]
        vpc, network = self._vpcs[primary.vpc], IPv4Network(self._subnets[primary.subnet].cidr)
        options = self._options.get(vpc.dhcp_options)
        resolver = str(IPv4Network(vpc.cidrs[0]).network_address + 2)
        return LeaseFacts(
            address=primary.addresses[0],
            prefix_length=network.prefixlen,
            router=str(network.network_address + 1),
            name_servers=tuple(resolver if server == _PROVIDED else server for server in options.servers)
            if options
            else (),
            domain_name=options.domain_name if options else "",
            ntp_servers=options.ntp if options else (),
        )

    def _interface(self, interface: cloud.Interface) -> InterfaceFacts:
        return InterfaceFacts(
            interface_id=interface.id,
            netns=self.netns(interface.id),
            device_number=interface.device_index,
            mac=interface.mac,
            subnet_id=interface.subnet,
            subnet_cidr=self._subnets[interface.subnet].cidr,
            vpc_id=interface.vpc,
            vpc_cidrs=self._vpcs[interface.vpc].cidrs,
            addresses=interface.addresses,
            public=tuple((public, private) for private, public in interface.public.items()),
            groups=tuple((group, self._groups[group].name) for group in interface.groups),
        )

    def _addresses(self, endpoint: cloud.Endpoint) -> tuple[str, ...]:
        return tuple(self._interfaces[interface].addresses[0] for interface in endpoint.interfaces)

    def _domains(self, vpc: cloud.Vpc) -> list[str]:
        """The domains that instances search; the first one is that of their own names.

        Amazon VPC User Guide, DHCP option sets: some systems take several, with spaces between them.
        """
        options = self._options.get(vpc.dhcp_options)
        return (options.domain_name.split() if options else []) or [internal_domain(self.view.region)]
