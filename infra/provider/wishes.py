"""What a pod asks of its cell: annotations, and what no cell can do. Judged before anything is launched.

Source: Kip, docs/annotations.md. An annotation can be corrected on the pod, what a spec asks for cannot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from kip_conformance.infra.cell.admission import check_pod
from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.config import Config
from kip_conformance.infra.provider.kube_client import Object

__all__ = ["PREFIX", "Impossible", "Wishes", "WrongAnnotation", "wishes_of"]

PREFIX = "pod.elotl.co/"
_KNOWN = (
    "private-ip-only",
    "security-groups",
    "cloud-route",
    "instance-type",
    "instance-profile",
    "healthcheck-healthy-timeout",
)
_UNSUPPORTED = ("launch-type", "volume-size")
_GROUP = re.compile(r"sg-[0-9a-z]+")
_PROFILE = re.compile(r"arn:[\w-]+:iam::\d{12}:instance-profile/[\w+=,.@/-]+|[\w+=,.@-]{1,128}", re.ASCII)
_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_MOST_GROUPS = 5
_TAG_LIMIT = 256


class WrongAnnotation(KipError):
    """The text names the annotation, its value and what would be right."""


class Impossible(KipError):
    """The pod's spec asks for what a cell cannot do; the text names the field."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """`groups` come on top of the provider's own. `healthy_timeout` is in seconds; 0: the cell is never given up.

    `instance_profile` is a name or an ARN; empty: the cell has no role.
    """

    instance_type: str
    private_only: bool
    groups: tuple[str, ...]
    routes: tuple[str, ...]
    healthy_timeout: float
    host_network: bool
    instance_profile: str = ""


def wishes_of(pod: Object, config: Config) -> Wishes:
    """Raises WrongAnnotation, or Impossible."""
    _check_spec(pod)
    annotations = {
        key.removeprefix(PREFIX): value.strip()
        for key, value in (pod["metadata"].get("annotations") or {}).items()
        if key.startswith(PREFIX)
    }
    for name in annotations:
        if name not in _KNOWN:
            what = "is not supported by this provider" if name in _UNSUPPORTED else "is unknown"
            raise WrongAnnotation(f"{PREFIX}{name} {what}; there are {', '.join(PREFIX + one for one in _KNOWN)}")
    cells = config.cells
    extra = cells.extra_security_groups
    groups = tuple(dict.fromkeys((*extra, *_groups(annotations))))
    if len(groups) + 1 > _MOST_GROUPS:
        raise WrongAnnotation(
            f"{PREFIX}security-groups: {len(groups)} groups and the provider's own are more than the "
            f"{_MOST_GROUPS} that an interface may have"
        )
    return Wishes(
        _instance_type(annotations) or cells.default_instance_type,
        cells.private_ip_only or _flag(annotations, "private-ip-only"),
        groups,
        _routes(annotations),
        _timeout(annotations, cells.health_check.status.healthy_timeout),
        bool(pod["spec"].get("hostNetwork")),
        _instance_profile(annotations),
    )


def _flag(annotations: Mapping[str, str], name: str) -> bool:
    value = annotations.get(name, "false")
    if value not in ("true", "false"):
        raise WrongAnnotation(f'{PREFIX}{name}: {value!r} is neither "true" nor "false"')
    return value == "true"


def _groups(annotations: Mapping[str, str]) -> list[str]:
    if "security-groups" not in annotations:
        return []
    found = [one.strip() for one in annotations["security-groups"].split(",")]
    for one in found:
        if not _GROUP.fullmatch(one):
            raise WrongAnnotation(
                f"{PREFIX}security-groups: {one!r} is no security group's id; the value is a list such as sg-1a,sg-2b"
            )
    return found


def _routes(annotations: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for one in annotations.get("cloud-route", "").split():
        try:
            # Bits beyond the mask mean nothing to a route table, and Kip's own example has some.
            found.append(str(IPv4Network(one, strict=False)))
        except ValueError as error:
            raise WrongAnnotation(f"{PREFIX}cloud-route: {one!r} is no IPv4 range: {error}") from error
    if len(" ".join(found)) > _TAG_LIMIT:
        raise WrongAnnotation(f"{PREFIX}cloud-route: {len(found)} ranges are more than an instance's tag can hold")
    return tuple(dict.fromkeys(found))


def _instance_type(annotations: Mapping[str, str]) -> str:
    value = annotations.get("instance-type", "")
    if value and not _TYPE.fullmatch(value):
        raise WrongAnnotation(f"{PREFIX}instance-type: {value!r} is no instance type, such as t3.small (no wildcards)")
    return value


def _instance_profile(annotations: Mapping[str, str]) -> str:
    value = annotations.get("instance-profile", "")
    if value and not _PROFILE.fullmatch(value):
        raise WrongAnnotation(f"{PREFIX}instance-profile: {value!r} is neither an instance profile's name nor its ARN")
    return value


def _timeout(annotations: Mapping[str, str], default: int) -> float:
    value = annotations.get("healthcheck-healthy-timeout", str(default))
    if not value.isdigit():
        raise WrongAnnotation(f"{PREFIX}healthcheck-healthy-timeout: {value!r} is no whole number of seconds")
    return float(value)


def _check_spec(pod: Object) -> None:
    """By the agent's own rules, but before there is a cell to refuse it."""
    try:
        check_pod(pod, has_pod_network=not pod["spec"].get("hostNetwork"))
    except Refused as error:
        raise Impossible(str(error)) from error
