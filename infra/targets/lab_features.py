"""What a lab declares: rows that need anything else are not-runnable on it."""

from __future__ import annotations

from collections.abc import Sequence

from kip_conformance.infra.lab.plan import ON_PREM_HOST, ON_PREM_NODE
from kip_conformance.infra.targets.protocol import Place

__all__ = ["FEATURES", "declared"]

FEATURES = (
    "attach",
    "capture",
    "disruptable",
    "dns",
    "downward-api",
    "even-choice",
    "exec",
    "host-network",
    "host-port",
    "host-port-ip",
    "host-port-loopback",
    "host-port-udp",
    "kernel-forwarding",
    "logs",
    "machine-access",
    "machine-readable",
    "node-pod-cidr",
    "node-port",
    "outside",
    "port-forward",
    "second-cluster",
    "udp",
    "vpc-peering",
)
"""Of every lab, whatever places it has."""

_ABOUT_CELLS = (
    "cell-policies",
    "cells",
    "cloud-changeable",
    "cloud-readable",
    "cloud-routes",
    "metadata-hidden",
    "provider-configurable",
    "provider-outside",
    "region-registry",
)
_ABOUT_SITE = ("interconnect",)


def declared(places: Sequence[Place]) -> tuple[str, ...]:
    """The features of a lab with these places: some need cells, some a site on premises."""
    has_cells = any(place.node for place in places)
    has_site = any(place.machine in (ON_PREM_NODE.name, ON_PREM_HOST.name) for place in places)
    return (*FEATURES, *(_ABOUT_CELLS if has_cells else ()), *(_ABOUT_SITE if has_site else ()))
