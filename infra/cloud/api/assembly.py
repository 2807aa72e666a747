"""moto and everything around it put together, in one process.

moto reads most of what it is told from the environment while it is imported, so that this comes before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kip_conformance.infra.cloud.api.realizer import Realizer, Reports
from kip_conformance.infra.cloud.api.settings import Settings

if TYPE_CHECKING:
    from kip_conformance.infra.cloud.api.application import Application
    from kip_conformance.infra.cloud.api.store import Store

__all__ = ["assembled"]

IMAGES = (
    ("ami-0d00000000000debd", "debian-12-amd64", "x86_64"),
    ("ami-0d00000000000deba", "debian-12-arm64", "arm64"),
    ("ami-0d000000000000ce1", "elotl-kip-debian", "x86_64"),
)


def assembled(settings: Settings, machines: Callable[[Reports], Realizer]) -> tuple[Application, Store]:
    """The application and its store. Raises EnvironmentFault when the state cannot be read."""
    _prepare_moto(settings)
    # Not above: moto is imported here and in all of these, and only now with what it is to know.
    from kip_conformance.infra.cloud.api import attributes, handlers
    from kip_conformance.infra.cloud.api.application import KEPT, Application
    from kip_conformance.infra.cloud.api.beginning import begin
    from kip_conformance.infra.cloud.api.ec2 import Ec2
    from kip_conformance.infra.cloud.api.lifecycle import Lifecycle
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
    realizer = ec2.realizer = lifecycle.realizer = machines(lifecycle)
    attributes.consoles = realizer.console
    lifecycle.resume()
    registry = Registry(settings, lambda: get_backend("ecr")[settings.account][settings.region])
    return Application(ec2, lifecycle, registry, switch), store


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


def _image(image_id: str, name: str, architecture: str, *, account: str) -> dict[str, Any]:
    return {
        "ami_id": image_id, "name": name, "description": f"{name} of the simulated cloud", "owner_id": account,
        "public": True, "virtualization_type": "hvm", "architecture": architecture, "state": "available",
        "image_type": "machine", "hypervisor": "xen", "root_device_name": "/dev/xvda",
        "root_device_type": "ebs", "sriov": "simple", "creation_date": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
