"""CNI folders: a conflist, plug-in binaries and optional manifests, built in (infra/lab/cni/NAME) or a vendor's.

Checked before anything starts, installed on each node from a template. The folder's form is in infra/lab/cni/README.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.lab.plan import NodePlan

__all__ = ["DISTRIBUTION_PLUGINS", "CniFolder", "built_in"]

BUILT_IN = Path(__file__).parent / "cni"
DISTRIBUTION_PLUGINS = Path("/usr/lib/cni")
_POLICY_AGENT = "policy-agent"


def built_in() -> list[str]:
    """The names of the CNIs that come with the lab."""
    return sorted(path.name for path in BUILT_IN.iterdir() if path.is_dir())


@dataclass(frozen=True, slots=True)
class CniFolder:
    """A checked CNI folder. `plugins` maps each plug-in that the conflist needs to its program."""

    name: str
    conflist: Path
    plugins: dict[str, Path]
    manifests: tuple[Path, ...]
    wants_policy_agent: bool = False
    """Whether NetworkPolicies are for the lab's own agent to enforce: nodes route what their pods send each other."""

    @classmethod
    def find(cls, name: str, distribution: Path = DISTRIBUTION_PLUGINS) -> CniFolder:
        """A built-in CNI by name, or a folder by path. Raises UsageError with what is missing and where."""
        folder = BUILT_IN / name if name in built_in() else Path(name).absolute()
        if not folder.is_dir():
            raise UsageError(f"--cni {name}: neither a folder nor one of {', '.join(built_in())}")
        conflists = sorted(folder.glob("*.conflist"))
        if len(conflists) != 1:
            found = ", ".join(path.name for path in conflists) or "none"
            raise UsageError(f"--cni {name}: {folder} must hold exactly one *.conflist, found {found}")
        plugins = {}
        for plugin in _plugins(conflists[0]):
            places = [folder / "bin" / plugin, distribution / plugin]
            program = next((path for path in places if os.access(path, os.X_OK) and path.is_file()), None)
            if program is None:
                raise UsageError(
                    f"--cni {name}: {conflists[0].name} needs plugin {plugin!r}, which is neither executable in "
                    f"{places[0].parent} nor in {distribution}"
                )
            plugins[plugin] = program
        # A plugin may call others by name (a meta plug-in's delegate), so that all of the vendor's come along.
        vendor = folder / "bin"
        for program in sorted(vendor.iterdir()) if vendor.is_dir() else ():
            plugins.setdefault(program.name, program)
        manifests = tuple(sorted((folder / "manifests").glob("*.yaml")))
        return cls(folder.name, conflists[0], plugins, manifests, (folder / _POLICY_AGENT).exists())

    def install(self, node: NodePlan, conf: Path, programs: Path) -> None:
        """Write the node's conflist into `conf` and link every plugin into `programs`."""
        conf.mkdir(parents=True, exist_ok=True)
        programs.mkdir(parents=True, exist_ok=True)
        values = {"POD_CIDR": node.pod_cidr, "NODE_NAME": node.name, "NODE_IP": node.address}
        values["POD_MTU"] = str(node.pod_mtu)
        (conf / self.conflist.name).write_text(Template(self.conflist.read_text()).safe_substitute(values))
        available = list(DISTRIBUTION_PLUGINS.iterdir()) if DISTRIBUTION_PLUGINS.is_dir() else []
        for name, program in {**{path.name: path for path in available}, **self.plugins}.items():
            (programs / name).symlink_to(program)


def _plugins(conflist: Path) -> Iterator[str]:
    """Every plugin that a network configuration list names, IPAM included. Raises UsageError."""
    try:
        raw: Any = json.loads(Template(conflist.read_text()).safe_substitute(POD_CIDR="192.0.2.0/24", POD_MTU="0"))
        for plugin in raw["plugins"]:
            yield plugin["type"]
            if isinstance(ipam := plugin.get("ipam"), dict) and "type" in ipam:
                yield ipam["type"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{conflist}: not a CNI network configuration list ({error!r})") from error
