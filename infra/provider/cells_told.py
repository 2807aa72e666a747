"""What every cell is told besides its own addresses: where the agent is, the cluster's DNS and API server, programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.provider.config import Config

__all__ = ["CellsTold", "tell_cells"]

_PROGRAMS = {"kubeProxy": "kube-proxy", "runc": "runc", "skopeo": "skopeo", "umoci": "umoci"}


@dataclass(frozen=True, slots=True)
class CellsTold:
    """PEM for the CAs, hexadecimal for the digest; a cell without `proxy_token` runs no kube-proxy."""

    version: str
    sha256: str
    cluster_dns: str = ""
    cluster_domain: str = "cluster.local"
    api_server: str = ""
    api_ca: str = ""
    proxy_token: str = ""
    proxy_mode: str = "iptables"
    programs: Mapping[str, str] = field(default_factory=dict)
    registry_ca: str = ""
    image_store: str = ""


def tell_cells(
    config: Config, *, cluster_dns: str, cluster_domain: str, api_server: str = "", api_ca: str = "", token: str = ""
) -> CellsTold:
    """Raises UsageError for an agent whose digest is not known, and for a file that cannot be read."""
    from kip_conformance.infra.cell import archive

    itzo, cell = config.cells.itzo, config.cells.cell_config
    version, digest = itzo.version, itzo.sha256
    if not version or not digest:
        raise UsageError(
            "cells.itzo.version and cells.itzo.sha256 are needed: a cell starts no agent that it cannot check "
            f"(this provider's own agent is version {archive.version()})"
        )
    registry_ca = ""
    if path := cell.get("registryCAFile"):
        try:
            registry_ca = Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cells.cellConfig.registryCAFile: {path} cannot be read: {error}") from error
    return CellsTold(
        version,
        digest,
        cluster_dns,
        cluster_domain,
        api_server,
        api_ca,
        token,
        cell.get("proxyMode", "iptables"),
        {program: cell[name] for name, program in _PROGRAMS.items() if name in cell},
        registry_ca,
        cell.get("imageStore", ""),
    )
