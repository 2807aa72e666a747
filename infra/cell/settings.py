"""What a cell is told at its start: a value that travels as JSON in the instance's user data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

__all__ = ["CellSettings"]


@dataclass(frozen=True, slots=True)
class CellSettings:
    """`ca`, `certificate` and `key` are PEM: the agent's identity, and who signs the clients that it accepts.

    `url` is a folder: the agent is fetched from URL/itzo-VERSION and must have the digest `sha256` (hex).
    `pod_address` is empty for a pod on the host network. No kube-proxy runs when `api_server` is empty.
    `programs` are paths by name, for what is not on PATH. `registry_ca` (PEM) is trusted besides the system's.
    `image_store` is a folder of images that the machine image brings along, empty for none (see images.py).
    """

    version: str
    url: str
    sha256: str
    ca: str
    certificate: str
    key: str
    node_name: str
    pod_address: str = ""
    cluster_dns: str = ""
    cluster_domain: str = "cluster.local"
    vpc_cidrs: tuple[str, ...] = ()
    extra_cidrs: tuple[str, ...] = ()
    api_server: str = ""
    api_ca: str = ""
    proxy_token: str = ""
    proxy_mode: str = "iptables"
    programs: Mapping[str, str] = field(default_factory=dict)
    registry_ca: str = ""
    image_store: str = ""

    def to_json(self) -> str:
        """One line; what has its default is left out, user data has little room."""
        told = {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != _default(one)}
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> CellSettings:
        """Raises ValueError with one line that names the field."""
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError("cell settings: a JSON object is needed")
        known = {one.name: one for one in fields(cls)}
        for name in value:
            if name not in known:
                raise ValueError(f"cell settings: {name} is no field; there are {', '.join(sorted(known))}")
        for name, one in known.items():
            if name not in value and _default(one) is MISSING:
                raise ValueError(f"cell settings: {name} is missing")
        lists = {name: tuple(value[name]) for name in ("vpc_cidrs", "extra_cidrs") if name in value}
        return cls(**{**value, **lists})

    def program(self, name: str) -> str:
        """The program's path, or its name where it is on PATH."""
        return self.programs.get(name, name)

    def __repr__(self) -> str:
        """Without keys and tokens: a settings value may end up in a log."""
        secret = {"key", "proxy_token", "certificate", "ca", "api_ca", "registry_ca"}
        shown = {name: value for name, value in asdict(self).items() if name not in secret}
        return f"CellSettings({shown})"


def _default(one: Any) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default
