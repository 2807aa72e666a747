"""EndpointSlices that a row writes itself, for Services without a selector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kip_conformance.infra.targets.protocol import Protocol4

__all__ = ["endpoint_slice", "many_addresses"]


def endpoint_slice(
    service: str,
    namespace: str,
    addresses: Iterable[str],
    port: int,
    *,
    protocol: Protocol4 = "tcp",
    port_name: str = "",
    name: str = "",
    nodes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A slice of IPv4 endpoints, all ready, that listen on `port`, behind one port of a Service.

    The slice is named after the Service by default, the port after its protocol and number; `nodes` names the node of
    an endpoint by its address, where that matters.
    """
    known = nodes or {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or service,
            "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "kip-conformance",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": port_name or f"{protocol}-{port}", "protocol": protocol.upper(), "port": port}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True},
                **({"nodeName": known[address]} if address in known else {}),
            }
            for address in addresses
        ],
    }


def many_addresses(count: int) -> tuple[str, ...]:
    """Addresses that belong to nobody (TEST-NET-1, RFC 5737), up to 254. Nothing is ever sent to them."""
    if not 0 < count < 255:
        raise ValueError("TEST-NET-1 has 254 addresses")
    return tuple(f"192.0.2.{number}" for number in range(1, count + 1))
