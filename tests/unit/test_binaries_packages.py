"""Packages that are unpacked and not installed, with stand-ins for apt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries import packages as packaging
from kip_conformance.infra.lab.binaries.packages import install_list, parse_list, unpacked, unpacked_binary

APT_CACHE = """#!/bin/sh
echo "apt-cache $*" >> "$CALLS"
shift
for name in "$@"; do
    grep -qx "$name" "$KNOWN" || continue
    printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$name" "$(cat "$CANDIDATE")"
    printf '  Version table:\\n     0.9 500\\n'
done
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$CALLS"
[ "$1" = update ] && { echo registry >> "$KNOWN"; exit 0; }
[ -z "$APT_SAYS" ] || { echo "$APT_SAYS" >&2; exit 100; }
for wanted in "$@"; do
    case $wanted in *=*) : > "${wanted%%=*}_$(echo "${wanted#*=}" | sed 's/:/%3a/g')_amd64.deb" ;; esac
done
"""
DPKG_DEB = """#!/bin/sh
echo "dpkg-deb $1" >> "$CALLS"
mkdir -p "$3/usr/bin"
basename "$2" > "$3/usr/bin/registry"
"""


class Apt:
    """Stand-ins for apt, what they know, and a record of how they were called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lists, self.cache = folder / "lists", folder / "cache"
        self.lists.mkdir()
        self.calls_file, self.known, self.candidate = folder / "calls", folder / "known", folder / "candidate"
        self.known.write_text("registry\nlibrary\n")
        self.candidate.write_text("1:2.0-1+b2")
        self.calls_file.write_text("")
        programs = folder / "bin"
        programs.mkdir()
        for name, text in {"apt-cache": APT_CACHE, "apt-get": APT_GET, "dpkg-deb": DPKG_DEB}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("CALLS", str(self.calls_file))
        monkeypatch.setenv("KNOWN", str(self.known))
        monkeypatch.setenv("CANDIDATE", str(self.candidate))
        monkeypatch.setenv("APT_SAYS", "")
        monkeypatch.setattr(packaging, "_APT_LISTS", self.lists)
        self.monkeypatch = monkeypatch
        self.lines: list[str] = []

    @property
    def calls(self) -> list[str]:
        return [" ".join(line.split()[:2]) for line in self.calls_file.read_text().splitlines()]

    def refresh_lists(self) -> None:
        os.utime(self.lists, ns=(0, self.lists.stat().st_mtime_ns + 1))

    def binary(self) -> Path:
        self.calls_file.write_text("")
        self.lines.clear()
        return unpacked_binary("registry", "registry", self.lines.append, cache=self.cache)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    return Apt(tmp_path, monkeypatch)


def test_a_package_is_fetched_once_and_kept_by_version(apt: Apt) -> None:
    path = apt.binary()
    assert path == apt.cache / "packages" / "registry_1%3A2.0-1+b2" / "usr" / "bin" / "registry"
    assert apt.lines == ["Debian packages, unpacked into the cache and not installed: registry 1:2.0-1+b2"]
    assert apt.calls == ["apt-cache policy", "apt-get download", "dpkg-deb -x"]
    assert apt.binary() == path
    assert (apt.calls, apt.lines) == ([], [])


def test_several_packages_are_one_download(apt: Apt) -> None:
    roots = unpacked(("registry", "library"), apt.lines.append, cache=apt.cache)
    assert apt.calls.count("apt-get download") == 1
    assert (roots["library"] / "usr/bin/registry").read_text() == "library_1%3a2.0-1+b2_amd64.deb\n"


def test_a_new_version_in_the_package_lists_is_noticed(apt: Apt) -> None:
    apt.binary()
    apt.candidate.write_text("3.0-1")
    apt.refresh_lists()
    assert apt.binary().parents[2].name == "registry_3.0-1"


def test_a_package_that_apt_does_not_know_causes_one_update(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging.os, "geteuid", lambda: 0)
    apt.known.write_text("")
    apt.binary()
    assert apt.calls[:3] == ["apt-cache policy", "apt-get update", "apt-cache policy"]
    assert apt.lines[0] == "apt knows no package registry: running apt-get update"
    with pytest.raises(EnvironmentFault, match="apt knows no package other: have Debian 12 main in the apt sources"):
        unpacked(("other",), apt.lines.append, cache=apt.cache)


def test_without_root_the_update_is_left_to_the_user(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging.os, "geteuid", lambda: 1000)
    apt.known.write_text("")
    with pytest.raises(EnvironmentFault, match="run apt-get update as root"):
        apt.binary()


def test_what_is_in_the_cache_serves_when_apt_cannot(apt: Apt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging.os, "geteuid", lambda: 1000)
    path = apt.binary()
    apt.known.write_text("")
    apt.refresh_lists()
    assert apt.binary() == path
    assert apt.lines == [
        "using the packages unpacked before: apt knows no package registry: run apt-get update as root"
    ]


def test_a_failed_download_is_one_line_and_leaves_nothing(apt: Apt) -> None:
    apt.monkeypatch.setenv("APT_SAYS", "W: noise\nE: Unable to fetch some archives")
    with pytest.raises(EnvironmentFault, match=r"^`apt-get download [^\n]*` failed: E: Unable to fetch some archives$"):
        apt.binary()
    assert [path.name for path in (apt.cache / "packages").iterdir() if path.is_dir()] == []


def test_a_disk_that_fills_up_during_a_download_is_one_line(apt: Apt) -> None:
    apt.monkeypatch.setenv("APT_SAYS", "E: write error - write (28: No space left on device)")
    with pytest.raises(EnvironmentFault, match=r"^disk full while running apt-get download"):
        apt.binary()


def test_a_program_that_the_package_lacks_is_named(apt: Apt) -> None:
    with pytest.raises(EnvironmentFault, match="the Debian package registry has no program other"):
        unpacked_binary("registry", "other", print, cache=apt.cache)


def test_the_list_has_sections_and_comments() -> None:
    assert parse_list("# top\n[a]\none  # why\n\n two\n[b]\n[a]\nthree\n") == {"a": ("one", "two", "three"), "b": ()}


def test_nothing_that_starts_a_daemon_is_installed() -> None:
    assert not {"containerd", "docker-registry", "docker.io", "etcd-server"} & set(install_list("install"))
    assert {"containerd", "docker-registry", "catatonit"} <= set(install_list("unpack"))
    assert len(set(install_list("prober"))) == len(install_list("prober"))
