"""A pod's volumes: folders on the machine, filled from what the provider has sent, and refreshed when it sends more.

ConfigMap, Secret, downward API and projected volumes are written the way kubelet does: all files in a new folder, and
`..data` pointing to it by one rename, so that a reader sees the old files or the new ones. What is secret is in memory.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.environment import PodFacts, field_value, resource_value
from kip_conformance.infra.cell.paths import POD, VOLUMES
from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["Volumes", "payload", "write_atomically"]

Payload = dict[str, tuple[bytes, int]]
"""Path within the volume -> content and mode."""
_MODE = 0o644


class Volumes:
    """Volume name -> folder; `disk` and `memory` are where they go."""

    def __init__(self, disk: str = VOLUMES, memory: str = f"{POD}/volumes") -> None:
        self.disk = disk
        self.memory = memory

    def make(self, facts: PodFacts) -> None:
        """Make what is missing, refresh what has other content now. Raises CellProblem naming the volume."""
        shared = facts.pod["spec"].get("securityContext") or {}
        for volume in facts.pod["spec"].get("volumes") or ():
            folder = self.folder(volume)
            try:
                if "emptyDir" in volume:
                    self._empty(volume, folder, shared.get("fsGroup"))
                else:
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o755)
                    write_atomically(folder, payload(volume, facts), shared.get("fsGroup"))
            except OSError as error:
                raise CellProblem(f'volume "{volume["name"]}": {error.strerror} ({error.filename})') from error

    def folder(self, volume: Mapping[str, Any]) -> Path:
        return Path(self.disk if "emptyDir" in volume else self.memory, volume["name"])

    @staticmethod
    def _empty(volume: Mapping[str, Any], folder: Path, group: int | None) -> None:
        if folder.exists():
            return
        folder.mkdir(parents=True)
        wanted = volume["emptyDir"] or {}
        if wanted.get("medium") == "Memory":
            limit = f",size={_bytes(wanted['sizeLimit'])}" if wanted.get("sizeLimit") else ""
            run(["mount", "-t", "tmpfs", "-o", f"mode=777{limit}", "tmpfs", str(folder)])
        folder.chmod(0o777)
        if group is not None:
            os.chown(folder, -1, int(group))
            folder.chmod(0o2777)


def _bytes(value: Any) -> int:
    from kip_conformance.infra.cell.quantities import bytes_of

    return bytes_of(value)


def payload(volume: Mapping[str, Any], facts: PodFacts) -> Payload:
    """The files of one volume. Raises CellProblem with kubelet's words for what is missing and not optional."""
    name = volume["name"]
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            mode = int((volume[kind] or {}).get("defaultMode", _MODE))
            return dict(_source(kind, volume[kind] or {}, name, facts, mode))
    projected = volume.get("projected") or {}
    mode = int(projected.get("defaultMode", _MODE))
    found: Payload = {}
    for source in projected.get("sources") or ():
        for kind, wanted in source.items():
            found.update(_source(kind, wanted or {}, name, facts, mode))
    return found


def _source(
    kind: str, wanted: Mapping[str, Any], volume: str, facts: PodFacts, mode: int
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    if kind == "downwardAPI":
        yield from _downward(wanted, facts, mode)
    elif kind == "serviceAccountToken":
        token = facts.tokens.get(f"{volume}/{wanted['path']}")
        if token is None:
            raise CellProblem(f'volume "{volume}": no token for {wanted["path"]} was sent')
        yield _inside(wanted["path"]), (token.encode(), mode)
    elif kind == "configMap":
        name = wanted.get("name", "")
        texts = facts.config_maps.get(name)
        keys = None if texts is None else {key: text.encode() for key, text in texts.items()}
        yield from _keyed(f'configmap "{name}"', keys, wanted, volume, mode)
    else:
        name = wanted.get("secretName", wanted.get("name", ""))
        yield from _keyed(f'secret "{name}"', facts.secret(name), wanted, volume, mode)


def _downward(wanted: Mapping[str, Any], facts: PodFacts, mode: int) -> Iterator[tuple[str, tuple[bytes, int]]]:
    containers = {one["name"]: one for one in facts.pod["spec"]["containers"]}
    for item in wanted.get("items") or ():
        if "fieldRef" in item:
            text = field_value(item["fieldRef"]["fieldPath"], facts)
        else:
            reference = item["resourceFieldRef"]
            text = resource_value(reference, containers.get(reference.get("containerName", ""), {}), facts)
        yield _inside(item["path"]), (text.encode(), int(item.get("mode", mode)))


def _keyed(
    shown: str, keys: Mapping[str, bytes] | None, wanted: Mapping[str, Any], volume: str, mode: int
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    if keys is None:
        if not wanted.get("optional"):
            raise CellProblem(f'MountVolume.SetUp failed for volume "{volume}" : {shown} not found')
    elif "items" not in wanted:
        yield from ((_inside(key), (data, mode)) for key, data in keys.items())
    else:
        for item in wanted["items"] or ():
            if item["key"] in keys:
                yield _inside(item["path"]), (keys[item["key"]], int(item.get("mode", mode)))
            elif not wanted.get("optional"):
                why = f"{shown} has no key {item['key']}"
                raise CellProblem(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise CellProblem(f"path {path} would leave its volume")
    return path


def write_atomically(folder: Path, files: Payload, group: int | None = None) -> None:
    """Nothing happens when the folder has this already. Raises OSError."""
    data = folder / "..data"
    if data.exists() and _read(data) == {name: content for name, (content, _) in files.items()}:
        return
    made = folder / time.strftime(f"..%Y_%m_%d_%H_%M_%S.{time.monotonic_ns()}", time.gmtime())
    made.mkdir(mode=0o755)
    for name, (content, mode) in files.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode | (0o040 if group is not None else 0))
        if group is not None:
            os.chown(path, -1, int(group))
    old = os.readlink(data) if data.is_symlink() else ""
    passing = folder / "..data_tmp"
    passing.unlink(missing_ok=True)
    passing.symlink_to(made.name)
    os.replace(passing, data)
    tops = {name.split("/")[0] for name in files}
    for top in tops:
        link = folder / top
        if not link.is_symlink():
            link.symlink_to(f"..data/{top}")
    for link in folder.iterdir():
        if link.is_symlink() and not link.name.startswith("..") and link.name not in tops:
            link.unlink()
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)


def _read(data: Path) -> dict[str, bytes]:
    return {str(one.relative_to(data)): one.read_bytes() for one in data.rglob("*") if one.is_file()}
