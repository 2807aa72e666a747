"""Start a lab's cloud: the API, the services around instances, and the process that makes instances of machines."""

from __future__ import annotations

import socket
import sys
from typing import Any

from kip_conformance.infra.cloud.client import CloudClient
from kip_conformance.infra.cloud.link_local.client import start_link_local
from kip_conformance.infra.cloud.outside import Outside, write_outside
from kip_conformance.infra.cloud.region.world import PublicImages, api_socket, world
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder

__all__ = [
    "ACCOUNT",
    "REGION",
    "change_outside",
    "client_environment",
    "cloud_client",
    "ec2_client",
    "machine_environment",
    "region_world",
    "start_cloud",
    "start_network",
]

REGION = "eu-central-1"
ACCOUNT = "123456789012"
_NETWORK = "cloud-network"
_ANYBODY = (f"AWS_DEFAULT_REGION={REGION}", "AWS_ACCESS_KEY_ID=lab", "AWS_SECRET_ACCESS_KEY=lab")


def start_cloud(control: Control, around: Outside | None = None) -> str:
    """Start all of it; returns the URL of the API, for AWS_ENDPOINT_URL, at 127.0.0.1 of the host.

    `around` is what is around the cloud: by default the region's services, a web server and a resolver, and no
    registries. A call may be made at once: it waits until the API answers. Raises HarnessError when the services around
    instances do not start, or `around` contradicts itself.
    """
    folder = control.folder
    write_outside(folder, region_world(folder) if around is None else around)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        argv = [sys.executable, "-m", "kip_conformance.infra.cloud.api", "--folder", str(folder.path / "cloud")]
        consoles = str(folder.machine("{id}") / "console.log")
        control.daemon(
            "cloud-api",
            [
                *argv,
                "--inherited",
                "--region",
                REGION,
                "--machines",
                "external",
                "--consoles",
                consoles,
                "--for-machines",
                str(api_socket(folder)),
            ],
            listen=listener.fileno(),
        )
    start_link_local(control)
    start_network(control, url)
    return url


def region_world(folder: LabFolder, images: PublicImages | None = None) -> Outside:
    """What is around a cloud by default; with `images` also a registry outside and one of the region."""
    return world(folder, REGION, ACCOUNT, images)


def change_outside(control: Control, url: str, around: Outside) -> None:
    """From now on this is around the cloud whose API is at `url`. Raises HarnessError when it contradicts itself."""
    write_outside(control.folder, around)
    CloudClient(url).wake()


def start_network(control: Control, url: str) -> None:
    """Start the process that follows the API. One that is killed is started again and takes up where it was."""
    argv = [sys.executable, "-m", "kip_conformance.infra.cloud.realize", "--lab", str(control.folder.path)]
    control.daemon(_NETWORK, [*argv, "--api", url], again=True)


def client_environment(url: str) -> tuple[str, ...]:
    """What any client of the cloud's API needs in its environment, as NAME=value; any credentials do."""
    return (f"AWS_ENDPOINT_URL={url}", *_ANYBODY)


def machine_environment(folder: LabFolder) -> tuple[str, ...]:
    """The same for a program on a machine of the cloud, which finds the services by their own names."""
    return (f"AWS_CA_BUNDLE={folder.pki / 'ca.crt'}", *_ANYBODY)


def ec2_client(url: str) -> Any:
    """A boto3 client of EC2."""
    return cloud_client("ec2", url)


def cloud_client(service: str, url: str) -> Any:
    """A boto3 client of one of the API's services: any credentials do, and the caller's own are not used."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
        config=Config(proxies={}, retries={"total_max_attempts": 3}, connect_timeout=5, read_timeout=60),
    )
