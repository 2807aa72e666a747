"""Start a lab's cloud: the API, the services around instances, and the process that makes instances of machines."""

from __future__ import annotations

import socket
import sys
from typing import Any

from kip_conformance.infra.cloud.link_local.client import start_link_local
from kip_conformance.infra.lab.control import Control

__all__ = ["REGION", "client_environment", "ec2_client", "start_cloud", "start_network"]

REGION = "eu-central-1"
_NETWORK = "cloud-network"


def start_cloud(control: Control) -> str:
    """Start all of it; returns the URL of the API, for AWS_ENDPOINT_URL, at 127.0.0.1 of the host.

    A call may be made at once: it waits until the API answers. Raises HarnessError when the services around instances
    do not start.
    """
    folder = control.folder
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        argv = [sys.executable, "-m", "kip_conformance.infra.cloud.api", "--folder", str(folder.path / "cloud")]
        consoles = str(folder.machine("{id}") / "console.log")
        control.daemon(
            "cloud-api",
            [*argv, "--inherited", "--region", REGION, "--machines", "external", "--consoles", consoles],
            listen=listener.fileno(),
        )
    start_link_local(control)
    start_network(control, url)
    return url


def start_network(control: Control, url: str) -> None:
    """Start the process that follows the API. One that is killed is started again and takes up where it was."""
    argv = [sys.executable, "-m", "kip_conformance.infra.cloud.realize", "--lab", str(control.folder.path)]
    control.daemon(_NETWORK, [*argv, "--api", url], again=True)


def client_environment(url: str) -> tuple[str, ...]:
    """What any client of the cloud's API needs in its environment, as NAME=value; any credentials do."""
    return (
        f"AWS_ENDPOINT_URL={url}",
        f"AWS_DEFAULT_REGION={REGION}",
        "AWS_ACCESS_KEY_ID=lab",
        "AWS_SECRET_ACCESS_KEY=lab",
    )


def ec2_client(url: str) -> Any:
    """A boto3 client of the API: any credentials do, and the caller's own are not used."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "ec2",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
        config=Config(proxies={}, retries={"total_max_attempts": 3}, connect_timeout=5, read_timeout=60),
    )
