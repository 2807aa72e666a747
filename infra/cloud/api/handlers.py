"""All handlers, so that their actions are registered: one module a concept."""

from __future__ import annotations

import importlib

__all__ = ["MODULES", "register"]

MODULES = (
    "attributes",
    "describing",
    "endpoints",
    "gateways",
    "groups",
    "instances",
    "interfaces",
    "lifecycle",
    "peering",
    "public_addresses",
    "route_associations",
    "routes",
    "subnets",
    "tagging",
    "vpcs",
    "vpn",
)


def register() -> None:
    """Import every module of handlers."""
    for name in MODULES:
        importlib.import_module(f"kip_conformance.infra.cloud.api.{name}")
