"""The server process: a listening socket, moto, threads, and an orderly end."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["listen", "serve"]

IMAGES = (
    ("ami-0d00000000000debd", "debian-12-amd64", "x86_64"),
    ("ami-0d00000000000deba", "debian-12-arm64", "arm64"),
    ("ami-0d000000000000ce1", "elotl-kip-debian", "x86_64"),
)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises EnvironmentFault when the port is taken or the address is not here."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise EnvironmentFault(
                f"port {port} on {host} is in use by another program: give another one, or 0 for a free one"
            ) from error
        raise EnvironmentFault(f"cannot listen at {host} port {port}: {error.strerror}") from error
    return listener


def serve(listener: socket.socket, settings: Settings, *, is_external: bool, consoles: str) -> None:
    """Answer requests until SIGTERM or SIGINT. Prints one line when the first request can be answered.

    Requests that arrive earlier wait: the socket listens already. Raises EnvironmentFault when the state cannot be
    read.
    """
    gc.disable()
    settings.folder.mkdir(parents=True, exist_ok=True)
    _prepare_moto(settings)
    application, store = _assembled(settings, is_external=is_external, consoles=consoles)
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        # Else an answer's headers and body wait for each other's acknowledgement.
        disable_nagle_algorithm = True

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    host, port = listener.getsockname()[:2]
    server = make_server(host, port, application, threaded=True, request_handler=Handler, fd=listener.fileno())

    def end(_signal: int, _frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    print(f"cloud API of {settings.region} at http://{host}:{port}", flush=True)
    # What is there now stays: looking through it for garbage again and again is half the cost of a call.
    gc.freeze()
    gc.enable()
    server.serve_forever(poll_interval=0.2)
    # A call that is under way ends, its answer may be lost; none begins.
    store.lock.acquire()


def _prepare_moto(settings: Settings) -> None:
    """What moto reads from the environment when it is imported: one account, and our few images."""
    images = settings.folder / "images.json"
    images.write_text(json.dumps([_image(*image, account=settings.account) for image in IMAGES]))
    os.environ["MOTO_AMIS_PATH"] = str(images)
    os.environ["MOTO_ACCOUNT_ID"] = settings.account
    # Whatever the caller's own accounts are, nobody here may look them up.
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)
    _import_with_one_region(settings.region)


class _OneRegion:
    """Says of every service that it is in one region, as boto3's Session says where the world's are."""

    region = ""

    def get_available_regions(self, _service: str, partition_name: str = "aws", **_more: Any) -> list[str]:
        return [self.region] if partition_name == "aws" else []

    def get_available_partitions(self) -> list[str]:
        return ["aws"]


def _import_with_one_region(region: str) -> None:
    """Import moto while the world has one region: reading about the others takes as long as all the rest."""
    import boto3

    listdir, session = os.listdir, boto3.Session

    def list_some(path: Any = ".") -> Any:
        names = listdir(path)
        # A file for each region says which instance types it offers, and moto reads them all.
        return [name for name in names if region in name] if "instance_type_offerings/" in str(path) else names

    _OneRegion.region = region
    boto3.Session, os.listdir = _OneRegion, list_some
    try:
        import moto.ec2.models  # noqa: F401
    finally:
        boto3.Session, os.listdir = session, listdir


def _assembled(settings: Settings, *, is_external: bool, consoles: str) -> tuple[Any, Any]:
    """The application and its store."""
    from kip_conformance.infra.cloud.api import attributes, handlers
    from kip_conformance.infra.cloud.api.application import KEPT, Application
    from kip_conformance.infra.cloud.api.beginning import begin
    from kip_conformance.infra.cloud.api.ec2 import Ec2
    from kip_conformance.infra.cloud.api.lifecycle import Lifecycle
    from kip_conformance.infra.cloud.api.realizer import AtOnce, External
    from kip_conformance.infra.cloud.api.registry import Registry
    from kip_conformance.infra.cloud.api.store import Store
    from kip_conformance.infra.cloud.api.switch import Switch
    from moto.backends import get_backend

    handlers.register()
    backends: dict[str, Any] = {name: get_backend(name) for name in ("ec2", *KEPT)}
    for one in backends.values():
        # Else moto asks boto3 for every region of the world, each service anew. It finds its own ways in us-east-1's.
        one._use_boto3_regions = False
        one._additional_regions = [settings.region, "us-east-1", *(one._additional_regions or [])]
    store = Store(settings.folder, backends, settings.account)

    def backend() -> Any:
        return get_backend("ec2")[settings.account][settings.region]

    store.load()
    begin(backend(), settings)
    store.commit("ec2")
    switch = Switch()
    ec2 = Ec2(store, settings, switch, backend)
    lifecycle = Lifecycle(store, backend, settings)
    ec2.realizer = lifecycle.realizer = External(consoles) if is_external else AtOnce(lifecycle)
    attributes.consoles = lambda instance_id: ec2.realizer.console(instance_id) if ec2.realizer else b""
    lifecycle.resume()
    registry = Registry(settings, lambda: get_backend("ecr")[settings.account][settings.region])
    return Application(ec2, lifecycle, registry, switch), store


def _image(image_id: str, name: str, architecture: str, *, account: str) -> dict[str, Any]:
    return {
        "ami_id": image_id, "name": name, "description": f"{name} of the simulated cloud", "owner_id": account,
        "public": True, "virtualization_type": "hvm", "architecture": architecture, "state": "available",
        "image_type": "machine", "hypervisor": "xen", "root_device_name": "/dev/xvda",
        "root_device_type": "ebs", "sriov": "simple", "creation_date": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
