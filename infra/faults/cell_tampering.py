"""The tools that faults of cells plant with: what the provider is told, and the cloud's API."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra.cloud.start import cloud_client, ec2_client
from kip_conformance.infra.lab import cells
from kip_conformance.infra.lab.cells import PROVIDERS, restart_providers
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["WAITS", "agents_with", "cell_machine", "ec2_of", "interface_of", "providers_told", "providers_with"]

_PROVIDER = """
import runpy
{defect}
runpy.run_module("kip_conformance.infra.provider", run_name="__main__", alter_sys=True)
"""
WAITS = (
    "has(object.status.containerStatuses) && size(object.status.containerStatuses) > 0"
    " && has(object.status.containerStatuses[0].state) && has(object.status.containerStatuses[0].state.waiting)"
)
"""A CEL condition: the first container of a pod waits."""


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


def providers_told(lab: LabCluster, change: Callable[[dict[str, Any]], None]) -> AbstractContextManager[None]:
    """Both providers run with a changed provider.yaml for the length of the block; their cells go on."""
    return cells.providers_told(lab.control, change)


@contextlib.contextmanager
def providers_with(lab: LabCluster, defect: str) -> Iterator[None]:
    """Both providers run with a defect for the length of the block: Python statements that come before their own."""
    folder = lab.control.folder
    files = [folder.machine(one.host.name) / "provider.json" for one in PROVIDERS]
    sound = {file: file.read_text() for file in files if file.exists()}
    try:
        for file, text in sound.items():
            python, _, _, *arguments = json.loads(text)  # python -m MODULE
            file.write_text(json.dumps([python, "-c", _PROVIDER.format(defect=defect), *arguments]))
        restart_providers(lab.control)
        yield
    finally:
        for file, text in sound.items():
            file.write_text(text)
        restart_providers(lab.control)


@contextlib.contextmanager
def agents_with(lab: LabCluster, defect: str) -> Iterator[None]:
    """New cells get an agent with a defect: Python statements that come before its own, in each of its processes."""
    told = yaml.safe_load((lab.control.folder.path / "provider.yaml").read_text())["cells"]["itzo"]
    name = f"itzo-{told['version']}"
    agent = _with_defect(lab.control.folder.path / "agent" / name, defect)
    bucket = told["url"].removeprefix("http://").partition(".")[0]
    s3 = cloud_client("s3", str(lab.description.details["cloud-api"]))
    s3.put_object(Bucket=bucket, Key=f"defective/{name}", Body=agent, ACL="public-read")
    instead = {"url": f"{told['url']}/defective", "sha256": hashlib.sha256(agent).hexdigest()}
    with providers_told(lab, lambda all_told: all_told["cells"]["itzo"].update(instead)):
        yield


def _with_defect(archive: Path, defect: str) -> bytes:
    """The archive with these statements before those of its entry."""
    made = io.BytesIO()
    with zipfile.ZipFile(archive) as sound, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as broken:
        for name in sound.namelist():
            if name == "__main__.py":
                broken.writestr(name, f"{defect}\n{sound.read(name).decode()}")
            elif name != "__main__.pyc":  # what is compiled would be taken instead
                broken.writestr(name, sound.read(name))
    return made.getvalue()
