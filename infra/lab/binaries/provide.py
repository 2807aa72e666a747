"""Provide every program of a version set: ask PATH, the cache, the official release and `go build`, in that order.

Every refusal is a progress line with its reason, and the next source is asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault, UsageError
from kip_conformance.infra.lab.binaries.build import build
from kip_conformance.infra.lab.binaries.cache import cache_root, ensure
from kip_conformance.infra.lab.binaries.catalogue import Component, version_set
from kip_conformance.infra.lab.binaries.fetch import NO_DOWNLOAD, Hosts, downloads_allowed, extract_member, fetch
from kip_conformance.infra.lab.binaries.golang import find_go, go_line
from kip_conformance.infra.lab.binaries.installed import on_path, require_version
from kip_conformance.infra.lab.binaries.packages import unpacked_binary
from kip_conformance.infra.lab.binaries.refusal import Refused
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["Toolset", "provide"]


@dataclass(frozen=True, slots=True)
class Toolset:
    """Binary name → absolute path. `origins` has PATH, cache, release, built or distribution for each binary;
    `versions` is component name → version."""

    paths: Mapping[str, Path]
    origins: Mapping[str, str]
    versions: Mapping[str, str]

    def __getitem__(self, binary: str) -> Path:
        return self.paths[binary]


@dataclass(slots=True)
class _Sources:
    """What one call of `provide` carries from component to component."""

    cache: Path
    download: bool
    progress: Progress
    hosts: Hosts = field(default_factory=Hosts)


def provide(
    version: str | None,
    progress: Progress,
    *,
    cache: Path | None = None,
    only: Collection[str] | None = None,
    download: bool = True,
) -> Toolset:
    """The programs for one Kubernetes version (None: the default), or just the binaries named in `only`.

    `download=False`, or the environment variable KIP_NO_DOWNLOAD=1, leaves the official releases out. Raises UsageError
    on an unknown version or binary, EnvironmentFault when a component cannot be had from any source or a disk is full.
    """
    components = version_set(version)
    offered = {binary for component in components.values() for binary in component.binaries}
    if only is not None and not set(only) <= offered:
        unknown = ", ".join(sorted(set(only) - offered))
        raise UsageError(f"unknown program {unknown}: there are {', '.join(sorted(offered))}")
    sources = _Sources(cache or cache_root(), download and downloads_allowed(), progress)
    paths: dict[str, Path] = {}
    origins: dict[str, str] = {}
    for component in components.values():
        wanted = tuple(binary for binary in component.binaries if only is None or binary in only)
        if wanted:
            for binary, (path, origin) in _provide(component, wanted, sources).items():
                paths[binary], origins[binary] = path, origin
    return Toolset(paths, origins, {name: component.version for name, component in components.items()})


def _provide(component: Component, wanted: tuple[str, ...], sources: _Sources) -> dict[str, tuple[Path, str]]:
    found: dict[str, tuple[Path, str]] = {}
    for binary, seen in on_path(component, wanted).items():
        if isinstance(seen, Path):
            found[binary] = (seen, "PATH")
        elif isinstance(seen, Refused):
            sources.progress(f"{component}: {seen}")
    remaining = tuple(binary for binary in wanted if binary not in found)
    if not remaining:
        return found
    if component.distribution:
        for binary in remaining:
            path = unpacked_binary(component.distribution, binary, sources.progress, cache=sources.cache)
            try:
                require_version(path, component, binary, f"in the Debian package {component.distribution}")
            except Refused as refusal:
                raise EnvironmentFault(f"{component}: {refusal}; its apt source must be Debian 12's") from refusal
            found[binary] = (path, "distribution")
        return found

    entry = sources.cache / "binaries" / f"{component.name}-{component.version}-{component.recipe}"
    made: dict[str, str] = {}
    # The entry holds the whole component, so that what is in it never depends on what was on PATH at the time.
    ensure(entry, str(component), partial(_make, component, sources, made), sources.progress)
    for binary in remaining:
        found[binary] = (entry / "bin" / binary, made.get(binary, "cache"))
    return found


def _make(component: Component, sources: _Sources, made: dict[str, str], folder: Path) -> None:
    """Fill `folder`/bin with all binaries of the component; `made` gets the source of each."""
    binaries, scratch = folder / "bin", folder / "scratch"
    binaries.mkdir()
    scratch.mkdir()
    refusals = _fetch_releases(component, sources, made, binaries, scratch)
    missing = [binary for binary in component.binaries if binary not in made]
    if missing:
        try:
            if not (component.module / "go.mod").exists():
                raise Refused(f"no Go module at {component.module}")
            go = find_go(
                go_line(component.module),
                cache=sources.cache,
                hosts=sources.hosts,
                download=sources.download,
                progress=sources.progress,
            )
            build(component, go, missing, into=binaries, scratch=scratch / "build", progress=sources.progress)
            for binary in missing:
                require_version(binaries / binary, component, binary, "as built")
                made[binary] = "built"
        except Refused as refusal:
            reasons = "; ".join((*refusals, f"build: {refusal}"))
            raise EnvironmentFault(f"{component} cannot be had from any source: {reasons}") from refusal
    shutil.rmtree(scratch)


def _fetch_releases(
    component: Component, sources: _Sources, made: dict[str, str], binaries: Path, scratch: Path
) -> list[str]:
    """Fetch what has a pinned release; returns the reasons, each one told once, why the rest was not fetched."""
    if not sources.download:
        refusal = f"release: downloads are turned off ({NO_DOWNLOAD} or the caller)"
        sources.progress(f"{component}: {refusal}")
        return [refusal]
    refusals: dict[str, list[str]] = {}
    archives: dict[str, Path | Refused] = {}
    for binary in component.binaries:
        release = component.releases[binary]
        archive = scratch / release.url.rsplit("/", 1)[-1]
        try:
            if release.sha256 is None:
                raise Refused("no pinned sha256")
            if release.url not in archives:
                sources.progress(f"{component}: fetching {release.url}")
                try:
                    fetch(release.url, archive, sha256=release.sha256, hosts=sources.hosts, progress=sources.progress)
                    archives[release.url] = archive
                except Refused as refusal:
                    archives[release.url] = refusal
            fetched = archives[release.url]
            if isinstance(fetched, Refused):
                raise fetched
            target = binaries / binary
            if release.member is None:
                fetched.rename(target)
                target.chmod(0o755)
            else:
                extract_member(fetched, release.member, target)
            try:
                require_version(target, component, binary, "as released")
            except Refused:
                target.unlink()
                raise
            made[binary] = "release"
        except Refused as refusal:
            refusals.setdefault(str(refusal), []).append(binary)
    told = [f"release: {reason} ({', '.join(names)})" for reason, names in refusals.items()]
    for line in told:
        sources.progress(f"{component}: {line}")
    return told
