"""What was applied, and what was about to be, in files beside the lab: any process goes on where another stopped.

The intent is written before the first command and removed after the last. A process that finds one knows which
namespaces may hold a mixture of before and after.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.fabric.config import Compiled, Item, Link, NamedSet, NamespaceConfig, Table

__all__ = ["Memory"]

_VERSION = 2


class Memory:
    """Two files: `path` (what was applied) and the same with `.intent`; a third one is locked while work goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._intent = path.with_suffix(".intent")
        self._known: tuple[int, int] | None = None
        self._applied = Compiled()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps every other process from reconciling the same network."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def applied(self) -> Compiled:
        """What the last reconciliation that ended left behind, whoever did it; nothing at all when there was none."""
        if (stamp := self._stamp()) != self._known:
            self._known, self._applied = stamp, _read(self._path)
        return self._applied

    def remember(self, compiled: Compiled) -> None:
        """All of `compiled` is applied: keep that, and end the intent."""
        _write(self._path, compiled)
        self._intent.unlink(missing_ok=True)
        self._known, self._applied = self._stamp(), compiled

    def _stamp(self) -> tuple[int, int] | None:
        """Another one for every file that was ever put there."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def intend(self, changes: Compiled) -> None:
        """These links and namespaces are about to be made or changed."""
        _write(self._intent, changes)

    def intended(self) -> Compiled | None:
        """What a reconciliation that did not end was about to make or change; None when all ended."""
        return _read(self._intent) if self._intent.exists() else None


def _write(path: Path, compiled: Compiled) -> None:
    sets = _Shared()
    namespaces = {
        name: [
            config.sysctls,
            {key: [item.add, item.remove, item.device] for key, item in config.items.items()},
            config.table and [config.table.name, config.table.chains, sets.numbers(config.table.sets)],
            config.no_offload,
        ]
        for name, config in compiled.namespaces.items()
    }
    raw = {
        "version": _VERSION,
        "numbers": compiled.numbers,
        "links": {key: [link.add, link.ends] for key, link in compiled.links.items()},
        "sets": sets.raw,
        "namespaces": namespaces,
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(raw, separators=(",", ":")))
    os.replace(partial, path)


class _Shared:
    """Sets by number: the members of a group are in the namespace of everyone who knows the group."""

    def __init__(self) -> None:
        self.raw: list[Any] = []
        self._known: dict[NamedSet, int] = {}

    def numbers(self, sets: Mapping[str, NamedSet]) -> dict[str, int]:
        for one in sets.values():
            if one not in self._known:
                self._known[one] = len(self.raw)
                self.raw.append([one.kind, one.declared, one.elements])
        return {name: self._known[one] for name, one in sets.items()}


def _read(path: Path) -> Compiled:
    if not path.exists():
        return Compiled()
    try:
        raw = json.loads(path.read_text())
        if raw["version"] != _VERSION:
            raise HarnessError(f"{path}: written by another version of this software; take the lab down")
        sets = [NamedSet(kind, declared, tuple(elements)) for kind, declared, elements in raw["sets"]]
        return Compiled(
            {key: Link(add, tuple((end[0], end[1]) for end in ends)) for key, (add, ends) in raw["links"].items()},
            {name: _config(value, sets) for name, value in raw["namespaces"].items()},
            raw["numbers"],
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise HarnessError(f"{path}: damaged ({error}); take the lab down") from error


def _config(raw: list[Any], sets: list[NamedSet]) -> NamespaceConfig:
    sysctls, items, table, no_offload = raw
    return NamespaceConfig(
        sysctls,
        {key: Item(*item) for key, item in items.items()},
        table and Table(table[0], table[1], {name: sets[number] for name, number in table[2].items()}),
        tuple(no_offload),
    )
