"""provider.yaml: the fields of Kip's provider configuration, with Kip's names, checked before anything is done.

Source: Kip, docs/provider-config.md. What Kip has and this provider does not is accepted only where ignoring it changes
nothing (etcd); elsewhere it is refused by name. Two fields are this provider's own: cells.itzo.sha256 and
cells.cellConfig's keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from kip_conformance.infra.cell.quantities import quantity
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.provider.strict_yaml import named, read_yaml

__all__ = ["BootImageSpec", "Cells", "Config", "HealthCheck", "Itzo", "load_config", "parse_config"]

CELL_CONFIG = ("proxyMode", "registryCAFile", "imageStore", "kubeProxy", "runc", "skopeo", "umoci")
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,33}")
_GROUP = re.compile(r"sg-[0-9a-z]+")


@dataclass(frozen=True, slots=True)
class Aws:
    """Where instances go. Empty: what the metadata of the provider's own instance says, and boto3's own defaults."""

    region: str = ""
    access_key_id: str = named("accessKeyID", "")
    secret_access_key: str = named("secretAccessKey", "")
    vpc_id: str = named("vpcID", "")
    subnet_id: str = named("subnetID", "")
    endpoint_url: str = named("endpointURL", "")


@dataclass(frozen=True, slots=True)
class Cloud:
    aws: Aws = field(default_factory=Aws)


@dataclass(frozen=True, slots=True)
class EtcdInternal:
    data_dir: str = named("dataDir", "")
    config_file: str = named("configFile", "")


@dataclass(frozen=True, slots=True)
class Etcd:
    """Kip keeps its state there. Accepted, so that a file of Kip's can be used, and without effect."""

    internal: EtcdInternal = field(default_factory=EtcdInternal)


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What the virtual node says it has, as resource quantities."""

    cpu: str = "64"
    memory: str = "512Gi"
    pods: str = "400"


@dataclass(frozen=True, slots=True)
class BootImageSpec:
    """Which image cells boot: space separated lists, as DescribeImages takes them. Of several the newest is used."""

    owners: str = ""
    executable_users: str = named("executableUsers", "")
    filters: str = ""
    image_ids: str = named("imageIDs", "")


@dataclass(frozen=True, slots=True)
class Itzo:
    """The agent: `<url>/itzo-<version>` is downloaded by each cell and must have this sha256."""

    url: str = "http://itzo-kip-download.s3.amazonaws.com"
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class StatusCheck:
    healthy_timeout: int = named("healthyTimeout", 90)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Seconds without an answer after which a cell is replaced."""

    status: StatusCheck = field(default_factory=StatusCheck)


@dataclass(frozen=True, slots=True)
class Cells:
    """How cells are made. Sizes are resource quantities, `status_interval` is in seconds."""

    nametag: str = "kip"
    default_instance_type: str = named("defaultInstanceType", "t3.nano")
    default_volume_size: str = named("defaultVolumeSize", "5Gi")
    boot_image_spec: BootImageSpec = field(default_factory=BootImageSpec, metadata={"name": "bootImageSpec"})
    extra_cidrs: tuple[str, ...] = named("extraCIDRs", ())
    extra_security_groups: tuple[str, ...] = named("extraSecurityGroups", ())
    private_ip_only: bool = named("privateIPOnly", False)
    itzo: Itzo = field(default_factory=Itzo)
    status_interval: int = named("statusInterval", 5)
    health_check: HealthCheck = field(default_factory=HealthCheck, metadata={"name": "healthcheck"})
    cell_config: Mapping[str, str] = field(default_factory=dict, metadata={"name": "cellConfig"})


@dataclass(frozen=True, slots=True)
class Config:
    """All of provider.yaml."""

    api_version: str = named("apiVersion", "v1")
    kind: str = ""
    cloud: Cloud = field(default_factory=Cloud)
    etcd: Etcd = field(default_factory=Etcd)
    kubelet: Kubelet = field(default_factory=Kubelet)
    cells: Cells = field(default_factory=Cells)


def load_config(path: Path) -> Config:
    """Raises UsageError for a file that cannot be read or used: file, line, field, and what would be right."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_config(text, path)


def parse_config(text: str, origin: Path) -> Config:
    """The configuration in a text that came from `origin`. Raises UsageError."""
    config = read_yaml(Config, text, origin)
    try:
        _check(config)
    except ValueError as error:
        raise UsageError(f"{origin}: {error}") from error
    return config


def _check(config: Config) -> None:
    cells = config.cells
    if config.api_version != "v1":
        raise ValueError(f"apiVersion {config.api_version!r}: this provider reads v1")
    if not _LABEL.fullmatch(cells.nametag):
        raise ValueError(
            f"cells.nametag {cells.nametag!r}: a lower-case letter, then letters, digits and dashes, at most 34 in all"
        )
    for cidr in cells.extra_cidrs:
        try:
            IPv4Network(cidr)
        except ValueError as error:
            raise ValueError(f"cells.extraCIDRs: {cidr!r} is no IPv4 range: {error}") from error
    for group in cells.extra_security_groups:
        if not _GROUP.fullmatch(group):
            raise ValueError(f"cells.extraSecurityGroups: {group!r} is no security group's id, such as sg-0a1b2c")
    for name in ("cpu", "memory", "pods"):
        _quantity(f"kubelet.{name}", getattr(config.kubelet, name))
    if _quantity("cells.defaultVolumeSize", cells.default_volume_size) < 1 << 30:
        raise ValueError(f"cells.defaultVolumeSize {cells.default_volume_size}: 1Gi or more")
    if cells.status_interval < 1:
        raise ValueError(f"cells.statusInterval {cells.status_interval}: one second or more")
    if cells.health_check.status.healthy_timeout < 0:
        raise ValueError("cells.healthcheck.status.healthyTimeout: not below 0, which means never")
    if unknown := [name for name in cells.cell_config if name not in CELL_CONFIG]:
        raise ValueError(f"cells.cellConfig.{unknown[0]} is unknown; there may be {', '.join(CELL_CONFIG)}")
    if not cells.itzo.url.startswith(("http://", "https://")):
        raise ValueError(f"cells.itzo.url {cells.itzo.url!r}: a URL that begins with http:// or https://")


def _quantity(field_name: str, value: str) -> float:
    try:
        return quantity(value)
    except ValueError as error:
        raise ValueError(f"{field_name}: {error}") from error
