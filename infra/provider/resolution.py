"""How a pod on a cell resolves names: its /etc/resolv.conf by dnsPolicy and dnsConfig.

Source: "Kubernetes documentation, DNS for Services and Pods"; Amazon VPC User Guide, DHCP option sets: without a
server of one's own it is the VPC's resolver, at base + 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from kip_conformance.infra.provider.cloud import Cloud
from kip_conformance.infra.provider.kube_client import Object

__all__ = ["Names", "names_of_vpc", "resolv_of"]

_MOST_SERVERS, _MOST_SEARCHES = 3, 32


@dataclass(frozen=True, slots=True)
class Names:
    """The cluster's DNS, empty where there is none, and what the VPC's DHCP options say."""

    cluster_dns: str
    cluster_domain: str
    servers: tuple[str, ...]
    searches: tuple[str, ...]


async def names_of_vpc(cloud: Cloud, vpc: str, region: str, cluster_dns: str, cluster_domain: str) -> Names:
    """Raises CloudRefusal."""
    (found,) = await cloud.all("describe_vpcs", VpcIds=[vpc])
    options: dict[str, list[str]] = {}
    if found.get("DhcpOptionsId", "default") != "default":
        for one in await cloud.all("describe_dhcp_options", DhcpOptionsIds=[found["DhcpOptionsId"]]):
            for entry in one.get("DhcpConfigurations", []):
                options[entry["Key"]] = [value["Value"] for value in entry["Values"]]
    own = str(IPv4Network(found["CidrBlock"]).network_address + 2)
    servers = [own if one == "AmazonProvidedDNS" else one for one in options.get("domain-name-servers", [])]
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    searches = options.get("domain-name") or [domain]
    return Names(cluster_dns, cluster_domain, tuple(servers or [own]), tuple(" ".join(searches).split()))


def resolv_of(pod: Object, names: Names) -> dict[str, list[str]]:
    """`nameservers`, `searches` and `options` of the pod's resolv.conf."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    is_host = bool(spec.get("hostNetwork"))
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    uses_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not is_host)
    if uses_cluster and names.cluster_dns:
        domain = names.cluster_domain
        servers = [names.cluster_dns]
        searches = [f"{pod['metadata']['namespace']}.svc.{domain}", f"svc.{domain}", domain, *names.searches]
        options = ["ndots:5"]
    elif policy != "None":
        servers, searches = list(names.servers), list(names.searches)
    wanted: dict[str, Any] = spec.get("dnsConfig") or {}
    servers = list(dict.fromkeys([*servers, *(wanted.get("nameservers") or [])]))[:_MOST_SERVERS]
    searches = list(dict.fromkeys([*searches, *(wanted.get("searches") or [])]))[:_MOST_SEARCHES]
    return {"nameservers": servers, "searches": searches, "options": _options(options, wanted.get("options") or [])}


def _options(own: list[str], wanted: list[dict[str, Any]]) -> list[str]:
    """The pod's options replace those of the same name."""
    chosen = {one.partition(":")[0]: one for one in own}
    for option in wanted:
        value = option.get("value")
        chosen[option["name"]] = option["name"] if value is None else f"{option['name']}:{value}"
    return list(chosen.values())
