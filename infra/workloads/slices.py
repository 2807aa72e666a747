"""EndpointSlices that a row writes itself, for Services without a selector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["endpoint_slice", "many_addresses"]


def endpoint_slice(
    service: str, namespace: str, addresses: Iterable[str], port: int, *, name: str = ""
) -> dict[str, Any]:
    """A slice of IPv4 endpoints, all ready, behind one TCP port of a Service; its name is the Service's by default."""
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
        "ports": [{"name": f"tcp-{port}", "protocol": "TCP", "port": port}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def many_addresses(count: int) -> tuple[str, ...]:
    """Addresses that belong to nobody (TEST-NET-1, RFC 5737), up to 254. Nothing is ever sent to them."""
    if not 0 < count < 255:
        raise ValueError("TEST-NET-1 has 254 addresses")
    return tuple(f"192.0.2.{number}" for number in range(1, count + 1))
