"""The address ranges of a cluster and of the networks around it, as the cluster and its description tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import combinations
from typing import Any

from kip_conformance.infra.workloads.reading import ClusterReader

__all__ = ["AddressRange", "overlapping", "ranges_of"]

_OF_THE_CLUSTER = ("services", "pods")


@dataclass(frozen=True, slots=True)
class AddressRange:
    """A range in CIDR notation. `kind` is services, pods or network; `owner` says whose it is."""

    kind: str
    owner: str
    cidr: str

    def __str__(self) -> str:
        return f"{self.cidr} ({self.owner})"


def ranges_of(api: ClusterReader, plan: Mapping[str, Any]) -> tuple[AddressRange, ...]:
    """The Service ranges and each node's pod ranges by the API, every other network by the description's plan.

    The plan's own Service range counts where the API has no ServiceCIDR. Raises HarnessError when the API is silent.
    """
    services = api.service_ranges() or tuple(_cidrs(plan.get("services")))
    return (
        *(AddressRange("services", "Services", cidr) for cidr in services),
        *(
            AddressRange("pods", f"pods of {node.name}", cidr)
            for node in api.kubelet_nodes()
            for cidr in node.pod_cidrs
        ),
        *(
            AddressRange("network", f"network {name}", cidr)
            for name, value in plan.items()
            if name not in _OF_THE_CLUSTER
            for cidr in _cidrs(value)
        ),
    )


def overlapping(ranges: Iterable[AddressRange], *, may_share: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Every two ranges that overlap, in words. Kinds in `may_share` may lie in each other, but not in their own kind.

    Networks among themselves are not compared: a VPC and its subnets are one.
    """
    found = []
    for one, other in combinations(ranges, 2):
        kinds = {one.kind, other.kind}
        if kinds == {"network"} or (len(kinds) == 2 and kinds <= may_share):
            continue
        first, second = ip_network(one.cidr), ip_network(other.cidr)
        if first.version == second.version and first.overlaps(second):
            found.append(f"{one} and {other}")
    return tuple(found)


def _cidrs(value: object) -> Iterable[str]:
    values = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return [each for each in values if isinstance(each, str) and "/" in each]
