"""Make the namespaces be what a NetworkState says, by the least number of commands.

`reconcile` is the only code that sets routes and rules of the network (faults aside). What was applied is kept in a
file beside the lab, so that any process can go on where another stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.compile import Item, NamespaceConfig, compile_state
from kip_conformance.infra.fabric.state import NetworkState
from kip_conformance.infra.targets.protocol import Completed

__all__ = ["Applied", "Executor", "Fabric", "reconcile"]


class Executor(Protocol):
    """Where commands run: the lab's supervisor (infra/lab/control.py)."""

    def run(
        self, argv: Sequence[str], *, netns: str | None = None, stdin: bytes = b"", timeout: float = 30.0
    ) -> Completed: ...

    def add_netns(self, names: Mapping[str, Mapping[str, str]]) -> None: ...

    def remove_netns(self, names: Sequence[str]) -> None: ...


@dataclass(slots=True)
class Applied:
    """What the namespaces hold now, as far as this library set it."""

    links: dict[str, Item] = field(default_factory=dict)
    namespaces: dict[str, NamespaceConfig] = field(default_factory=dict)


@dataclass(slots=True)
class Fabric:
    """The network of one lab: an executor and what was applied so far, persisted in `memory`."""

    executor: Executor
    memory: Path
    applied: Applied = field(default_factory=Applied)

    def __post_init__(self) -> None:
        if self.memory.exists():
            raw = json.loads(self.memory.read_text())
            self.applied = Applied(
                {key: Item(*value) for key, value in raw["links"].items()},
                {
                    name: NamespaceConfig(
                        value["sysctls"],
                        {key: Item(*item) for key, item in value["items"].items()},
                        value["nft"],
                        tuple(value["no_offload"]),
                    )
                    for name, value in raw["namespaces"].items()
                },
            )

    def remember(self) -> None:
        raw = {
            "links": {key: [item.add, item.remove] for key, item in self.applied.links.items()},
            "namespaces": {
                name: {
                    "sysctls": dict(config.sysctls),
                    "items": {key: [item.add, item.remove] for key, item in config.items.items()},
                    "nft": config.nft,
                    "no_offload": list(config.no_offload),
                }
                for name, config in self.applied.namespaces.items()
            },
        }
        partial = self.memory.with_suffix(".partial")
        partial.write_text(json.dumps(raw))
        os.replace(partial, self.memory)


def reconcile(fabric: Fabric, state: NetworkState) -> int:
    """Apply the difference between `state` and what was applied before; returns the number of lines changed.

    Raises ValueError for a state that contradicts itself (nothing is changed), HarnessError when a command fails.
    """
    links, namespaces = compile_state(state)
    applied, executor = fabric.applied, fabric.executor
    if gone := [name for name in applied.namespaces if name not in namespaces]:
        executor.remove_netns(gone)
        for name in gone:
            del applied.namespaces[name]
    if new := {name: config.sysctls for name, config in namespaces.items() if name not in applied.namespaces}:
        executor.add_netns(new)
    changed = len(gone) + len(new)
    changed += _batch(executor, None, _difference(applied.links, links))
    applied.links = links
    offload: list[str] = []
    for name, config in namespaces.items():
        before = applied.namespaces.get(name, NamespaceConfig({}, {}))
        lines = _difference(before.items, config.items)
        changed += _batch(executor, name, lines)
        if config.nft != before.nft:
            _check(executor.run(["nft", "-f", "-"], netns=name, stdin=_replacing(config.nft)), name, config.nft)
            changed += 1
        offload += [f"{name} {device}" for device in config.no_offload if device not in before.no_offload]
        applied.namespaces[name] = config
    if offload:
        _disable_offload(executor, offload)
    fabric.remember()
    return changed


def _difference(before: Mapping[str, Item], after: Mapping[str, Item]) -> list[str]:
    """Removals first, in reverse order of addition, then additions in order."""
    removed = [item.remove for key, item in reversed(list(before.items())) if after.get(key) != item and item.remove]
    return removed + [item.add for key, item in after.items() if before.get(key) != item]


def _batch(executor: Executor, netns: str | None, lines: list[str]) -> int:
    if lines:
        argv = ["ip", *(["-n", netns] if netns else []), "-batch", "-"]
        _check(executor.run(argv, stdin="\n".join(lines).encode() + b"\n"), netns or "links", "\n".join(lines))
    return len(lines)


def _replacing(rules: str) -> bytes:
    """The same rules, replacing any earlier ones in one transaction: connection tracking goes on."""
    table = rules.split("{", 1)[0].strip()
    return f"{table}\ndelete {table}\n{rules}".encode()


def _disable_offload(executor: Executor, devices: list[str]) -> None:
    """Turn segmentation offload off: captures and MTU checks must see the packets that a wire would carry."""
    script = (
        'while read -r ns device; do nsenter --net="/run/netns/$ns" ethtool -K "$device" tso off gso off gro off; done'
    )
    _check(executor.run(["sh", "-ec", script], stdin="\n".join(devices).encode() + b"\n"), "offload", str(devices))


def _check(done: Completed, where: str, what: str) -> None:
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise HarnessError(f"network {where}: {' '.join(done.argv)} failed ({done.returncode}): {said}\n{what}")
