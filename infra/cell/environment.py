"""A container's environment, and the references in it, its command and its arguments.

What the words mean is the Kubernetes API reference's (EnvVar, EnvVarSource, EnvFromSource, Container).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.quantities import bytes_of, cores_of

__all__ = ["PodFacts", "environment", "expand", "field_value", "resource_value"]

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod as it was asked for, and what only the cell or the provider knows of it.

    `secrets` hold base64, as the API has them. `memory` and `cores` are the machine's, the limits of who has none.
    """

    pod: Mapping[str, Any]
    host_ip: str = ""
    pod_ip: str = ""
    node_name: str = ""
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    service_env: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0
    cores: float = 1.0

    def secret(self, name: str) -> dict[str, bytes] | None:
        """A secret's keys decoded. Raises CellProblem for what is no base64."""
        if name not in self.secrets:
            return None
        try:
            return {key: base64.b64decode(text, validate=True) for key, text in self.secrets[name].items()}
        except (binascii.Error, ValueError) as error:
            raise CellProblem(f'secret "{name}" holds a value that is not base64') from error


def environment(container: Mapping[str, Any], facts: PodFacts, image: Sequence[str]) -> dict[str, str]:
    """Name -> value: the image's, the Services', envFrom's, env's, later ones over earlier ones.

    Raises CellProblem with kubelet's words when a ConfigMap, a Secret or a key is missing and not optional.
    """
    found = dict(line.partition("=")[::2] for line in image)
    found.update(facts.service_env)
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        found.update({f"{prefix}{name}": value for name, value in _all_of(source, facts).items()})
    for variable in container.get("env") or ():
        name = variable["name"]
        if "valueFrom" in variable:
            value = _from(variable["valueFrom"], container, facts)
            if value is not None:
                found[name] = value
        else:
            found[name] = expand(variable.get("value") or "", found)
    return found


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, `$$` a dollar; a name that is not known stays as it is."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else known.get(name, match[0])

    return _REFERENCE.sub(one, text)


def _all_of(source: Mapping[str, Any], facts: PodFacts) -> dict[str, str]:
    if "configMapRef" in source:
        wanted = source["configMapRef"]
        values = facts.config_maps.get(wanted["name"])
        if values is None and not wanted.get("optional"):
            raise CellProblem(f'configmap "{wanted["name"]}" not found')
        return dict(values or {})
    wanted = source.get("secretRef") or {}
    keys = facts.secret(wanted.get("name", ""))
    if keys is None and not wanted.get("optional"):
        raise CellProblem(f'secret "{wanted.get("name", "")}" not found')
    return {name: value.decode(errors="replace") for name, value in (keys or {}).items()}


def _from(source: Mapping[str, Any], container: Mapping[str, Any], facts: PodFacts) -> str | None:
    if "fieldRef" in source:
        return field_value(source["fieldRef"]["fieldPath"], facts)
    if "resourceFieldRef" in source:
        return resource_value(source["resourceFieldRef"], container, facts)
    if "configMapKeyRef" in source:
        wanted, kind = source["configMapKeyRef"], "configmap"
        values: Mapping[str, str] | None = facts.config_maps.get(wanted["name"])
    elif "secretKeyRef" in source:
        wanted, kind = source["secretKeyRef"], "secret"
        keys = facts.secret(wanted["name"])
        values = None if keys is None else {name: value.decode(errors="replace") for name, value in keys.items()}
    else:
        raise CellProblem(f"env: {', '.join(source)} is no source that a cell knows")
    if values is None:
        if wanted.get("optional"):
            return None
        raise CellProblem(f'{kind} "{wanted["name"]}" not found')
    if wanted["key"] not in values:
        if wanted.get("optional"):
            return None
        shown = "ConfigMap" if kind == "configmap" else "Secret"
        namespace = facts.pod["metadata"].get("namespace", "")
        raise CellProblem(f"couldn't find key {wanted['key']} in {shown} {namespace}/{wanted['name']}")
    return values[wanted["key"]]


def field_value(path: str, facts: PodFacts) -> str:
    """One field of the downward API. Raises CellProblem for a path that it does not have."""
    metadata, spec = facts.pod["metadata"], facts.pod["spec"]
    keyed = _KEYED.fullmatch(path)
    if keyed:
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    simple = {
        "metadata.name": metadata.get("name", ""),
        "metadata.namespace": metadata.get("namespace", ""),
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": facts.node_name or spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
    }
    if path in simple:
        return str(simple[path])
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(pairs.items()))
    raise CellProblem(f"fieldPath {path} is none that the downward API has")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def resource_value(wanted: Mapping[str, Any], container: Mapping[str, Any], facts: PodFacts) -> str:
    """A request or limit in units of `divisor`, rounded up. Raises CellProblem."""
    kind, _, name = wanted["resource"].partition(".")
    resources = container.get("resources") or {}
    text = (resources.get(kind) or {}).get(name)
    divisor = wanted.get("divisor") or "1"
    divisor = "1" if str(divisor) == "0" else str(divisor)
    if name == "cpu":
        cores = cores_of(text) if text else (facts.cores if kind == "limits" else 0.0)
        return str(-int(-cores // cores_of(divisor)))
    whole = facts.memory if (kind, name) == ("limits", "memory") else 0
    amount = whole if text is None else bytes_of(text)
    return str(-(-amount // bytes_of(divisor)))
