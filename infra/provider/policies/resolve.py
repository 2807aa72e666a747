"""What NetworkPolicies mean for one pod: who may reach it and whom it may reach, as addresses and ports.

Source: "Kubernetes documentation, Network Policies" and the API reference of networking.k8s.io/v1 NetworkPolicy:
policies add up; a direction is isolated as soon as one policy that selects the pod names it; within a peer the
selectors of namespace and pod both hold. Pods on the host network are nobody's peers: their addresses are machines'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address
from typing import Any

from kip_conformance.infra.provider.kube_client import Object
from kip_conformance.infra.provider.policies.selectors import selects

__all__ = ["Peer", "World", "peer_of", "policy_of"]

Rule = dict[str, Any]
"""`peers` is None for everybody, else `addresses` and `blocks` (`cidr`, `except`); `ports` is None for all of every
protocol, else a list of `protocol`, `port` (None for all of it) and `endPort`."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What policies ask of a pod. `ports` are (name, protocol, number)."""

    namespace: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    ports: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class World:
    """`namespaces` are labels by name."""

    policies: Collection[Object] = ()
    peers: Collection[Peer] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def peer_of(pod: Object) -> Peer:
    """A pod that is over, or on the host network, has no address here."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    found = [one["ip"] for one in status.get("podIPs") or ()] or [status.get("podIP") or ""]
    is_nobody = spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed")
    addresses = () if is_nobody else tuple(one for one in found if one and ip_address(one).version == 4)
    # A restartable init container listens like any other.
    containers = [*spec["containers"], *(one for one in spec.get("initContainers") or () if one.get("restartPolicy"))]
    ports = tuple(
        (port["name"], port.get("protocol") or "TCP", int(port["containerPort"]))
        for container in containers
        for port in container.get("ports") or ()
        if port.get("name")
    )
    return Peer(metadata["namespace"], metadata.get("labels") or {}, addresses, ports)


def policy_of(pod: Object, world: World) -> dict[str, Any]:
    """`ingress` and `egress`: None where the pod is not isolated, else the rules of which one must let a flow pass."""
    if pod["spec"].get("hostNetwork"):
        return {"ingress": None, "egress": None}
    own = peer_of(pod)
    made: dict[str, Any] = {}
    mine = [one for one in world.policies if _is_for(one, own)]
    for direction, end in (("ingress", "from"), ("egress", "to")):
        found = [one for one in mine if direction in _directions(one["spec"])]
        rules = [
            rule
            for policy in found
            for wanted in policy["spec"].get(direction) or ()
            for rule in _rules(wanted, end, policy["metadata"]["namespace"], own, world)
        ]
        made[direction] = sorted(rules, key=repr) if found else None
    return made


def _is_for(policy: Object, own: Peer) -> bool:
    same = policy["metadata"]["namespace"] == own.namespace
    return same and selects(policy["spec"].get("podSelector") or {}, own.labels)


def _directions(spec: Mapping[str, Any]) -> set[str]:
    """What policyTypes says; without it ingress, and egress where there are rules for it."""
    given = spec.get("policyTypes")
    if given:
        return {one.lower() for one in given}
    return {"ingress", "egress"} if spec.get("egress") else {"ingress"}


def _rules(wanted: Mapping[str, Any], end: str, namespace: str, own: Peer, world: World) -> Iterator[Rule]:
    """One rule of a policy as rules of addresses: several when a named port is another one at each pod."""
    entries, ports = wanted.get(end) or None, wanted.get("ports") or None
    named = [one for one in ports or () if isinstance(one.get("port"), str)]
    if end == "from" or not named:
        numbers = None if ports is None else [found for one in ports for found in _numbers(one, own)]
        if numbers == []:
            return  # a name that this pod has no port for lets nothing pass
        peers = None if entries is None else _peers(entries, namespace, world)
        if peers is None or peers["addresses"] or peers["blocks"]:
            yield {"peers": peers, "ports": numbers}
        return
    # A name is the port of that name at each destination: a block of addresses has none.
    plain = [found for one in ports or () if one not in named for found in _numbers(one, own)]
    if plain:
        peers = None if entries is None else _peers(entries, namespace, world)
        if peers is None or peers["addresses"] or peers["blocks"]:
            yield {"peers": peers, "ports": plain}
    for peer in world.peers if entries is None else _selected(entries, namespace, world):
        numbers = [found for one in named for found in _numbers(one, peer)]
        if numbers and peer.addresses:
            yield {"peers": {"addresses": sorted(peer.addresses), "blocks": []}, "ports": numbers}


def _numbers(port: Mapping[str, Any], at: Peer) -> list[dict[str, Any]]:
    protocol, wanted = port.get("protocol") or "TCP", port.get("port")
    if not isinstance(wanted, str):
        return [{"protocol": protocol, "port": wanted, "endPort": port.get("endPort")}]
    found = sorted({number for name, kind, number in at.ports if name == wanted and kind == protocol})
    return [{"protocol": protocol, "port": number, "endPort": None} for number in found]


def _peers(entries: Sequence[Mapping[str, Any]], namespace: str, world: World) -> dict[str, Any]:
    addresses = {address for peer in _selected(entries, namespace, world) for address in peer.addresses}
    blocks = [one["ipBlock"] for one in entries if one.get("ipBlock")]
    return {
        "addresses": sorted(addresses),
        "blocks": [
            {"cidr": one["cidr"], "except": [part for part in one.get("except") or () if _is_v4(part)]}
            for one in blocks
            if _is_v4(one["cidr"])
        ],
    }


def _selected(entries: Sequence[Mapping[str, Any]], namespace: str, world: World) -> Iterator[Peer]:
    for peer in world.peers:
        if any(_is_meant(one, peer, namespace, world) for one in entries if not one.get("ipBlock")):
            yield peer


def _is_meant(entry: Mapping[str, Any], peer: Peer, namespace: str, world: World) -> bool:
    """Without a selector of namespaces, the policy's own is meant."""
    wanted = entry.get("namespaceSelector")
    if wanted is None:
        if peer.namespace != namespace:
            return False
    elif not selects(wanted, world.namespaces.get(peer.namespace, {})):
        return False
    return selects(entry.get("podSelector") or {}, peer.labels)


def _is_v4(cidr: str) -> bool:
    try:
        IPv4Network(cidr, strict=False)
    except ValueError:
        return False
    return True
