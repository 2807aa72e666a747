"""components.toml as values: version sets, and per component its binaries, its release files and its Go packages.

Reading and expanding only; no source is asked here.
"""

from __future__ import annotations

import hashlib
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import EnvironmentFault, UsageError

__all__ = ["Component", "GoRelease", "Release", "architecture", "go_release", "known_versions", "version_set"]

_HERE = Path(__file__).parent
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Release:
    """One official file: `sha256` is None when none is pinned, `member` its path in an archive, None for no archive."""

    url: str
    sha256: str | None
    member: str | None


@dataclass(frozen=True, slots=True)
class Component:
    """A component at one version. `go_packages` maps binary to Go package; `queries` binary to its version arguments.

    `releases` maps binary to the official file that holds it, `distribution` names the Debian package that is used in
    place of release and build, `module` is the folder with go.mod and go.sum; `recipe` changes when any of this does.
    """

    name: str
    version: str
    go_packages: Mapping[str, str]
    queries: Mapping[str, tuple[str, ...]]
    pattern: re.Pattern[str]
    releases: Mapping[str, Release]
    ldflags: str
    distribution: str | None
    module: Path
    recipe: str

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(self.go_packages)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class GoRelease:
    """The Go toolchain that is fetched when PATH has none that will do."""

    version: str
    release: Release


def architecture() -> str:
    """This machine's architecture by Go's name. Raises EnvironmentFault on one that no component is pinned for."""
    machine = platform.machine()
    try:
        return _ARCHITECTURES[machine]
    except KeyError as error:
        known = ", ".join(_ARCHITECTURES)
        raise EnvironmentFault(f"the lab's components are pinned for {known}; this machine is {machine}") from error


def known_versions() -> tuple[str, ...]:
    """The Kubernetes versions that the lab can run, the default first."""
    data = _data()
    return (data["default"], *(version for version in data["set"] if version != data["default"]))


def version_set(version: str | None) -> Mapping[str, Component]:
    """Component name → component, for a Kubernetes version (None: the default). Raises UsageError on an unknown one."""
    data = _data()
    chosen = version or data["default"]
    if chosen not in data["set"]:
        raise UsageError(f"unknown Kubernetes version {chosen!r}: the lab runs {', '.join(known_versions())}")
    return {name: _component(data, name, pinned) for name, pinned in data["set"][chosen].items()}


def go_release() -> GoRelease:
    """The pinned Go toolchain for this machine's architecture."""
    data = _data()
    version = data["go"]["version"]
    url = data["go"]["url"].format(version=version, arch=architecture())
    return GoRelease(version, Release(url, data["sha256"].get(url), None))


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((_HERE / "components.toml").read_text())


def _component(data: Mapping[str, Any], name: str, version: str) -> Component:
    raw = data["component"][name]
    major, minor = version.split(".")[:2]
    values = {"version": version, "arch": architecture(), "major": major, "minor": minor}
    releases = {}
    for binary in raw["packages"]:
        url = raw["url"].format(binary=binary, **values)
        member = raw["member"].format(binary=binary, **values) if "member" in raw else None
        releases[binary] = Release(url, data["sha256"].get(url), member)
    module = _HERE / "modules" / f"{name}-{version}"
    ldflags = " ".join(("-s", "-w", *(flag.format(**values) for flag in raw["ldflags"])))
    recipe = hashlib.sha256(repr((sorted(releases.items()), sorted(raw["packages"].items()), ldflags)).encode())
    for file in ("go.mod", "go.sum"):
        if (module / file).exists():
            recipe.update((module / file).read_bytes())
    return Component(
        name=name,
        version=version,
        go_packages=dict(raw["packages"]),
        queries={binary: tuple(raw.get("query_of", {}).get(binary, raw["query"])) for binary in raw["packages"]},
        pattern=re.compile(raw["pattern"]),
        releases=releases,
        ldflags=ldflags,
        distribution=raw.get("distribution", {}).get(version),
        module=module,
        recipe=recipe.hexdigest()[:12],
    )
