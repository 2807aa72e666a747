"""The tools that faults of cells plant with: what the provider is told, and the cloud's API."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from kip_conformance.infra.cloud.start import ec2_client
from kip_conformance.infra.lab.cells import restart_providers
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["cell_machine", "ec2_of", "interface_of", "providers_told"]


def ec2_of(lab: LabCluster) -> Any:
    """A client of the lab's cloud."""
    return ec2_client(str(lab.description.details["cloud-api"]))


def interface_of(lab: LabCluster, place: str) -> str:
    """The id of the network interface of a place's cell."""
    instance = lab.description.details["cells"][place]["instance"]
    filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
    found: str = ec2_of(lab).describe_network_interfaces(Filters=filters)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    return found


def cell_machine(lab: LabCluster, place: str) -> Machine:
    """The machine that a place's cell is."""
    return lab.machines[place]


@contextlib.contextmanager
def providers_told(lab: LabCluster, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Both providers run with a changed provider.yaml for the length of the block; their cells go on."""
    config = lab.control.folder.path / "provider.yaml"
    before = config.read_text()
    told = yaml.safe_load(before)
    change(told)
    try:
        config.write_text(yaml.safe_dump(told))
        restart_providers(lab.control)
        yield
    finally:
        config.write_text(before)
        restart_providers(lab.control)
