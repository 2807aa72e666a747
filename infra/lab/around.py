"""What a lab's description says of the world around the cloud: who answers on the internet, and with which image."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kip_conformance.infra.cloud.region.world import (
    PROBER_SOCKET,
    REGISTRY_NAME,
    WEB,
    WEB_MACHINE,
    WEB_NAME,
    WEB_PORTS,
)
from kip_conformance.infra.targets.protocol import Place

__all__ = ["around_details"]

_OUTSIDE = Place("outside", "plain", WEB_MACHINE, WEB, (WEB,), WEB_PORTS, PROBER_SOCKET)
"""The web server of the simulated internet. It is no place of a run: rows about ways out ask for it."""


def around_details() -> dict[str, Any]:
    """Details of a target that declares `outside`."""
    return {"outside": {"place": asdict(_OUTSIDE), "name": WEB_NAME}, "public-image": f"{REGISTRY_NAME}/pause:latest"}
