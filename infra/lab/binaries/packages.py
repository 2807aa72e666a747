"""Debian packages that are unpacked into the cache and not installed, and the committed list that names them.

The host's package database is only read: `apt-get download` and `dpkg-deb` write nowhere but in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from kip_conformance.infra.errors import EnvironmentFault, KipError
from kip_conformance.infra.lab.binaries.cache import cache_root, damage, ensure, locked
from kip_conformance.infra.lab.binaries.disk import disk_full, disk_full_as_fault
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["install_list", "parse_list", "unpacked", "unpacked_binary"]

_LIST = Path(__file__).parent.parent / "packages.txt"
_APT_LISTS = Path("/var/lib/apt/lists")
_BINARY_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")


def parse_list(text: str) -> Mapping[str, tuple[str, ...]]:
    """Section → package names; `#` starts a comment."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], [])
        elif line:
            current.append(line)
    return {name: tuple(packages) for name, packages in sections.items()}


def install_list(section: str) -> tuple[str, ...]:
    """The packages of one section of packages.txt."""
    return parse_list(_LIST.read_text())[section]


def unpacked_binary(package: str, binary: str, progress: Progress, *, cache: Path | None = None) -> Path:
    """The path of a program in an unpacked package. Raises EnvironmentFault when the package cannot be had."""
    root = unpacked((package,), progress, cache=cache)[package]
    for folder in _BINARY_FOLDERS:
        if (root / folder / binary).is_file():
            return root / folder / binary
    raise EnvironmentFault(f"the Debian package {package} has no program {binary} (unpacked at {root})")


def unpacked(packages: Sequence[str], progress: Progress, *, cache: Path | None = None) -> Mapping[str, Path]:
    """Package → the folder it is unpacked in, at apt's candidate version; fetched when the cache has it not.

    Raises EnvironmentFault when apt does not know a package or cannot fetch it.
    """
    store = (cache or cache_root()) / "packages"
    try:
        versions = _candidates(packages, store, progress)
    except EnvironmentFault as fault:
        kept = {package: _newest_kept(store, package) for package in packages}
        found = {package: path for package, path in kept.items() if path is not None}
        if len(found) < len(packages):
            raise
        progress(f"using the packages unpacked before: {fault}")
        return found
    entries = {package: store / _entry_name(package, versions[package]) for package in packages}
    absent = [package for package in packages if damage(entries[package]) is not None]
    if absent:
        named = ", ".join(f"{package} {versions[package]}" for package in absent)
        progress(f"Debian packages, unpacked into the cache and not installed: {named}")
        _fetch({package: versions[package] for package in absent}, entries, store, progress)
    return entries


def _entry_name(package: str, version: str) -> str:
    return f"{package}_{quote(version, safe='+~.-')}"


def _newest_kept(store: Path, package: str) -> Path | None:
    whole = [path for path in store.glob(f"{package}_*") if path.is_dir() and damage(path) is None]
    return max(whole, key=lambda path: path.stat().st_mtime_ns, default=None)


def _candidates(packages: Sequence[str], store: Path, progress: Progress) -> Mapping[str, str]:
    """apt's candidate versions. Asking costs 0.4 s, so the answer is kept until the package lists change."""
    stamp = _APT_LISTS.stat().st_mtime_ns if _APT_LISTS.exists() else 0
    memory = store / "candidates.json"
    try:
        kept = json.loads(memory.read_text())
        known = kept["versions"] if kept["stamp"] == stamp else {}
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    if all(package in known for package in packages):
        return {package: known[package] for package in packages}
    with locked(memory, "the Debian package lists", progress):
        versions = _ask(packages)
        if any(package not in versions for package in packages):
            _update(packages, versions, progress)
            versions = _ask(packages)
            stamp = _APT_LISTS.stat().st_mtime_ns
            known = {}
        unknown = [package for package in packages if package not in versions]
        if unknown:
            raise EnvironmentFault(
                f"apt knows no package {', '.join(unknown)}: have Debian 12 main in the apt sources, run apt-get update"
            )
        draft = memory.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"stamp": stamp, "versions": {**known, **versions}}))
        draft.replace(memory)
    return versions


def _ask(packages: Sequence[str]) -> dict[str, str]:
    versions, package = {}, ""
    for line in _apt(["apt-cache", "policy", *packages]).splitlines():
        if not line.startswith(" "):
            package = line.rstrip(":")
        elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
            versions[package] = line.split(": ", 1)[1]
    return versions


def _update(packages: Sequence[str], versions: Mapping[str, str], progress: Progress) -> None:
    wanted = ", ".join(package for package in packages if package not in versions)
    if os.geteuid() != 0:
        raise EnvironmentFault(f"apt knows no package {wanted}: run apt-get update as root")
    progress(f"apt knows no package {wanted}: running apt-get update")
    _apt(["apt-get", "update", "-qq"])


def _fetch(versions: Mapping[str, str], entries: Mapping[str, Path], store: Path, progress: Progress) -> None:
    """Download all in one call, since apt takes half a second for each; then unpack each into its own entry."""
    with disk_full_as_fault("fetching Debian packages", store), tempfile.TemporaryDirectory(dir=store) as downloads:
        folder = Path(downloads)
        _apt(["apt-get", "download", "-qq", *(f"{name}={version}" for name, version in versions.items())], folder)
        for name, version in versions.items():
            archives = list(folder.glob(f"{name}_*.deb"))
            if len(archives) != 1:
                raise EnvironmentFault(
                    f"apt-get download left {len(archives)} files for {name} {version}, expected one"
                )
            unpack = partial(_unpack, archives[0])
            ensure(entries[name], f"Debian package {name} {version}", unpack, progress)


def _unpack(archive: Path, folder: Path) -> None:
    _apt(["dpkg-deb", "-x", str(archive), str(folder)], folder)


def _apt(argv: Sequence[str], folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except FileNotFoundError as error:
        raise EnvironmentFault(f"{argv[0]} is missing: the lab takes some programs from Debian 12 packages") from error
    if done.returncode != 0:
        raise _failure(argv, done.stderr.decode(errors="replace"), folder)
    return done.stdout.decode(errors="replace")


def _failure(argv: Sequence[str], said: str, folder: Path | None) -> KipError:
    if "No space left on device" in said or "no space left on device" in said:
        return disk_full(f"running {' '.join(argv)}", folder or _APT_LISTS)
    errors = [line for line in said.splitlines() if line.startswith(("E:", "dpkg"))] or said.splitlines()
    return EnvironmentFault(f"`{' '.join(argv)}` failed: {' / '.join(errors[:2]) or 'no message'}")
