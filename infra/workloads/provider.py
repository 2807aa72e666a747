"""What providers of virtual nodes are told, and how to tell them otherwise for a while.

The fields are those of Kip's provider.yaml (Kip documentation: provider configuration).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from ipaddress import ip_network
from typing import Any

from kip_conformance.infra.targets.protocol import ConfiguresProviders

__all__ = ["Provider"]


class Provider:
    """All providers of a cluster: they are told the same. Every method raises HarnessError when they cannot be."""

    def __init__(self, cluster: ConfiguresProviders) -> None:
        self._cluster = cluster

    def extra_cidrs(self, *, without: str = "") -> list[str]:
        """`cells.extraCIDRs` as it is now, but for ranges that have something in common with `without`."""
        now = self._cluster.provider_settings()["cells"].get("extraCIDRs", [])
        return [cidr for cidr in now if not without or not ip_network(cidr).overlaps(ip_network(without))]

    def agent(self) -> dict[str, str]:
        """`cells.itzo` as it is now: url, version and sha256 of the agent."""
        return dict(self._cluster.provider_settings()["cells"]["itzo"])

    def configured(self, *, subnet: str = "", **cells: Any) -> AbstractContextManager[None]:
        """They run with these fields of the section `cells`, and `subnet` for cells to come, for the block's length."""

        def change(told: dict[str, Any]) -> None:
            told["cells"].update(cells)
            if subnet:
                told["cloud"]["aws"]["subnetID"] = subnet

        return self._cluster.providers_told(change)
