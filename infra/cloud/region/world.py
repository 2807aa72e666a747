"""What is around a lab's cloud by default: the region's services, a web server, a registry and a resolver outside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from kip_conformance.infra.cloud.facts import Upstream
from kip_conformance.infra.cloud.outside import OUTSIDE, SERVICES, Outside, OutsideMachine, Program
from kip_conformance.infra.cloud.region.front import ADDRESSES
from kip_conformance.infra.fabric.names import INTERNET
from kip_conformance.infra.fabric.state import Host
from kip_conformance.infra.lab.pki import Authority
from kip_conformance.infra.lab.state import LabFolder

__all__ = [
    "PROBER_SOCKET",
    "REGISTRY",
    "REGISTRY_MACHINE",
    "REGISTRY_NAME",
    "WEB",
    "WEB_MACHINE",
    "WEB_NAME",
    "WEB_PORTS",
    "PublicImages",
    "api_socket",
    "region_names",
    "world",
]

WEB = "198.51.100.10"
WEB_NAME = "web.example"
WEB_MACHINE = "web"
WEB_PORTS = (80, 8080)
"""Ports at which the web server answers, over TCP (HTTP too) and UDP, with the address that it sees."""
REGISTRY = "198.51.100.20"
REGISTRY_NAME = "registry.example"
REGISTRY_MACHINE = "registry"
RESOLVER = "198.51.100.53"
PROBER_SOCKET = "/run/kip-prober.sock"
"""Where the web server's prober is spoken to, on its machine: it is one like those of a lab's hosts."""


@dataclass(frozen=True, slots=True)
class PublicImages:
    """The docker-registry `program`, and the storage folder of images that everybody may pull; None: there are none."""

    program: Path
    storage: Path | None = None


def api_socket(folder: LabFolder) -> Path:
    """Where the API answers for the region's services."""
    return folder.path / "cloud.sock"


def region_names(region: str) -> dict[str, str]:
    """The services' names and their addresses, as everybody outside of a VPC resolves them."""
    end = f"{region}.amazonaws.com"
    return {
        f"ec2.{end}": ADDRESSES["ec2"],
        f"sts.{end}": ADDRESSES["sts"],
        f"s3.{end}": ADDRESSES["s3"],
        f"*.s3.{end}": ADDRESSES["s3"],
        # Clients that sign addresses for others use the global name (Amazon S3 User Guide, Virtual hosting of buckets).
        "s3.amazonaws.com": ADDRESSES["s3"],
        "*.s3.amazonaws.com": ADDRESSES["s3"],
        f"api.ecr.{end}": ADDRESSES["ecr.api"],
        f"*.dkr.ecr.{end}": ADDRESSES["ecr.dkr"],
    }


def world(folder: LabFolder, region: str, account: str, images: PublicImages | None = None) -> Outside:
    """The whole of it. Writes certificates below the lab's pki folder, with the lab's authority or a new one.

    Without `images` there is neither a registry outside nor one of the region.
    """
    authority = Authority.of(folder.pki, f"kip-conformance {folder.run_id}")
    names = region_names(region)
    authority.issue("region", f"services of {region}", names=tuple(names))
    machines = [
        OutsideMachine("services", (Program("services", _services(folder, region, account, images), again=True),)),
        OutsideMachine(WEB_MACHINE, (Program("prober", _web()),)),
        OutsideMachine("resolver"),
    ]
    hosts = [
        Host("services", SERVICES.name, ADDRESSES["s3"], also=tuple(at for at in ADDRESSES.values())[1:]),
        Host(WEB_MACHINE, OUTSIDE.name, WEB),
        Host("resolver", OUTSIDE.name, RESOLVER),
    ]
    names |= {WEB_NAME: WEB, "resolver.example": RESOLVER}
    if images is not None and images.storage is not None:
        authority.issue("public-registry", REGISTRY_NAME, names=(REGISTRY_NAME, REGISTRY))
        machines.append(OutsideMachine(REGISTRY_MACHINE, (Program("registry", _public_registry(folder, images)),)))
        hosts.append(Host(REGISTRY_MACHINE, OUTSIDE.name, REGISTRY))
        names[REGISTRY_NAME] = REGISTRY
    return Outside(
        hosts=tuple(hosts),
        services=dict(ADDRESSES),
        upstream=Upstream(INTERNET, RESOLVER),
        machines=tuple(machines),
        names=names,
    )


def _services(folder: LabFolder, region: str, account: str, images: PublicImages | None) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "kip_conformance.infra.cloud.region"),
        *("--api", str(api_socket(folder)), "--region", region, "--account", account),
        *("--certificate", str(folder.pki / "region.crt"), "--images", str(folder.path / "ecr")),
        *(("--registry", str(images.program)) if images else ()),
    )


def _web() -> tuple[str, ...]:
    from kip_conformance.infra.probe import prober

    ports: Sequence[str] = [word for port in WEB_PORTS for word in ("--port", str(port))]
    program = str(Path(prober.__file__).resolve())
    return (sys.executable, "-I", program, "serve", "--name", "outside", "--socket", PROBER_SOCKET, *ports)


def _public_registry(folder: LabFolder, images: PublicImages) -> tuple[str, ...]:
    config = folder.path / "public-registry.yaml"
    pki = folder.pki
    said = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(images.storage)},
            "maintenance": {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": f"{REGISTRY}:443",
            "secret": "nothing is uploaded",
            "tls": {"certificate": f"{pki}/public-registry.crt", "key": f"{pki}/public-registry.key"},
        },
    }
    config.write_text(yaml.safe_dump(said))
    return (str(images.program), "serve", str(config))
