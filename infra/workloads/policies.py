"""NetworkPolicies that a row puts over its own pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["deny_all"]


def deny_all(name: str, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A policy that lets nothing into the pods with these labels, and nothing out of them (default deny)."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": dict(labels)}, "policyTypes": ["Ingress", "Egress"]},
    }
