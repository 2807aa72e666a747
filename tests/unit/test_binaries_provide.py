"""Where a program comes from: the order of the sources, and a reason for each that is passed over."""

from __future__ import annotations

import importlib
import re
import stat
import sys
from pathlib import Path

import pytest
from kip_conformance.infra.errors import EnvironmentFault, UsageError
from kip_conformance.infra.lab.binaries import golang
from kip_conformance.infra.lab.binaries.catalogue import (
    Component,
    GoRelease,
    Release,
    go_release,
    known_versions,
    version_set,
)
from kip_conformance.infra.lab.binaries.fetch import Hosts
from kip_conformance.infra.lab.binaries.golang import find_go, go_line
from kip_conformance.infra.lab.binaries.provide import Toolset, provide
from kip_conformance.infra.lab.binaries.refusal import Refused

# The package offers the function under the module's name, which hides the module from an import statement.
providing = importlib.import_module("kip_conformance.infra.lab.binaries.provide")

PROGRAM = "#!/bin/sh\necho tool v{version}\n"
# Stands in for Go: `version`, `list` (one package to compile) and `build -o`, which writes what $GO_MAKES says.
GO = """#!{python}
import os, sys
if sys.argv[1] == "version":
    print("go version go" + os.environ.get("GO_IS", "1.26.8") + " linux/amd64")
elif sys.argv[1] == "list":
    print("true")
elif "GO_SAYS" in os.environ:
    sys.exit(os.environ["GO_SAYS"])
else:
    target = sys.argv[sys.argv.index("-o") + 1]
    for name in ("tool", "helper") if target.endswith("/") else ("",):
        path = os.path.join(target, name) if name else target
        open(path, "w").write("#!/bin/sh\\necho tool v" + os.environ.get("GO_MAKES", "1.2.3"))
        os.chmod(path, 0o755)
"""


class Bench:
    """A cache, a PATH folder of our own, one component of two programs, and the progress lines of the last call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.cache, self.module = folder / "path", folder / "cache", folder / "modules" / "thing-1.2.3"
        self.path.mkdir()
        self.module.mkdir(parents=True)
        (self.module / "go.mod").write_text("module thing.invalid\n\ngo 1.24.0\n")
        (self.module / "go.sum").write_text("")
        self.lines: list[str] = []
        self.fetched: list[str] = []
        self.sha256: str | None = "0" * 64
        self.released: str | Refused = "1.2.3"
        self.monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(self.path))
        monkeypatch.delenv("KIP_NO_DOWNLOAD", raising=False)
        monkeypatch.setattr(providing, "version_set", lambda _: {"thing": self.component})
        monkeypatch.setattr(providing, "fetch", self._fetch)
        self.program("go", GO.format(python=sys.executable))

    @property
    def component(self) -> Component:
        release = Release("https://releases.invalid/{}", self.sha256, None)
        names = ("tool", "helper")
        return Component(
            name="thing",
            version="1.2.3",
            go_packages={name: f"thing.invalid/{name}" for name in names},
            queries=dict.fromkeys(names, ("--version",)),
            pattern=re.compile(r"v(\S+)"),
            releases={name: Release(release.url.format(name), self.sha256, None) for name in names},
            ldflags="-s -w",
            distribution=None,
            module=self.module,
            recipe="abc",
        )

    def program(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def _fetch(self, url: str, into: Path, **_: object) -> None:
        self.fetched.append(url)
        if isinstance(self.released, Refused):
            raise self.released
        into.write_text(PROGRAM.format(version=self.released))

    def provide(self, **options: object) -> Toolset:
        self.lines.clear()
        return provide(None, self.lines.append, cache=self.cache, **options)  # type: ignore[arg-type]

    def origins(self, **options: object) -> dict[str, str]:
        tools = self.provide(**options)
        for path in tools.paths.values():
            assert path.is_absolute()
            assert path.stat().st_mode & stat.S_IXUSR
        return dict(tools.origins)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_path_then_release_then_cache(bench: Bench) -> None:
    bench.program("tool", PROGRAM.format(version="1.2.3"))
    assert bench.origins() == {"tool": "PATH", "helper": "release"}
    assert bench.origins() == {"tool": "PATH", "helper": "cache"}
    (bench.path / "tool").unlink()
    assert bench.origins() == {"tool": "cache", "helper": "cache"}
    assert len(bench.fetched) == 2


def test_a_component_that_is_on_path_asks_nobody_else(bench: Bench) -> None:
    for name in ("tool", "helper"):
        bench.program(name, PROGRAM.format(version="1.2.3"))
    assert bench.origins() == {"tool": "PATH", "helper": "PATH"}
    assert (bench.fetched, bench.cache.exists(), bench.lines) == ([], False, [])


@pytest.mark.parametrize("version", ["1.2.2", "1.2.3-rc.1", "1.2.3+k3s1", "1.2.30"])
def test_another_version_on_path_is_passed_over_with_the_reason(bench: Bench, version: str) -> None:
    bench.program("tool", PROGRAM.format(version=version))
    assert bench.origins(only=["tool"]) == {"tool": "release"}
    assert f"thing 1.2.3: tool on PATH is {version}, wanted 1.2.3" in bench.lines


def test_a_program_on_path_that_does_not_run_is_passed_over(bench: Bench) -> None:
    bench.program("tool", "#!/no/such/interpreter\n")
    assert bench.origins(only=["tool"]) == {"tool": "release"}
    assert any("does not run" in line for line in bench.lines)


def test_without_a_pinned_sum_nothing_is_fetched_and_the_programs_are_built(bench: Bench) -> None:
    bench.sha256 = None
    assert bench.origins() == {"tool": "built", "helper": "built"}
    assert bench.fetched == []
    assert "thing 1.2.3: release: no pinned sha256 (tool, helper)" in bench.lines
    assert any("building tool, helper with Go 1.26.8, 1 packages to compile" in line for line in bench.lines)
    assert sorted(path.name for path in bench.cache.glob("binaries/*/*")) == ["bin", "manifest.json"]


def test_a_refused_release_is_built_and_the_reason_is_told(bench: Bench) -> None:
    bench.released = Refused("releases.invalid cannot be reached (no route); not asked again in this run")
    assert bench.origins() == {"tool": "built", "helper": "built"}
    assert any("releases.invalid cannot be reached (no route)" in line for line in bench.lines)


def test_a_release_that_reports_another_version_is_not_used(bench: Bench) -> None:
    bench.released = "1.2.4"
    assert bench.origins() == {"tool": "built", "helper": "built"}
    assert any("tool as released is 1.2.4, wanted 1.2.3" in line for line in bench.lines)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_downloads_can_be_turned_off(bench: Bench, how: str) -> None:
    if how == "environment":
        bench.monkeypatch.setenv("KIP_NO_DOWNLOAD", "1")
    assert set(bench.origins(download=how != "argument").values()) == {"built"}
    assert bench.fetched == []
    assert any("downloads are turned off" in line for line in bench.lines)


def _one_line(error: pytest.ExceptionInfo[EnvironmentFault]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_when_every_source_fails_one_line_has_all_reasons(bench: Bench) -> None:
    bench.released = Refused("https://releases.invalid/tool answered 404 Not Found")
    bench.monkeypatch.setenv("GO_SAYS", "thing.go:1: syntax error")
    with pytest.raises(EnvironmentFault) as error:
        bench.provide()
    assert "answered 404" in _one_line(error)
    assert "`go build` failed: thing.go:1: syntax error" in _one_line(error)
    assert [path.suffix for path in (bench.cache / "binaries").iterdir()] == [".lock"]


def test_a_build_that_makes_another_version_is_an_error(bench: Bench) -> None:
    bench.monkeypatch.setenv("GO_MAKES", "0.0.0")
    with pytest.raises(EnvironmentFault, match=r"tool as built is 0\.0\.0, wanted 1\.2\.3"):
        bench.provide(download=False)


def test_a_disk_that_fills_up_during_a_build_is_one_line(bench: Bench) -> None:
    bench.monkeypatch.setenv("GO_SAYS", "write /tmp/x: no space left on device")
    with pytest.raises(EnvironmentFault) as error:
        bench.provide(download=False)
    assert _one_line(error).startswith("disk full while building thing 1.2.3: ")
    assert [path.suffix for path in (bench.cache / "binaries").iterdir()] == [".lock"]


def test_a_go_that_is_too_old_is_one_line(bench: Bench) -> None:
    bench.monkeypatch.setenv("GO_IS", "1.23.4")
    with pytest.raises(EnvironmentFault) as error:
        bench.provide(download=False)
    text = _one_line(error)
    assert text.startswith("Go 1.24.0 or newer is needed")
    assert f"{bench.path}/go is 1.23.4" in text
    assert text.endswith(f"install Go {go_release().version} on PATH")


def test_no_go_at_all_and_no_pinned_release_is_one_line(bench: Bench) -> None:
    (bench.path / "go").unlink()
    bench.monkeypatch.setattr(
        golang, "go_release", lambda: GoRelease("1.26.8", Release("https://go.invalid", None, None))
    )
    with pytest.raises(EnvironmentFault) as error:
        find_go("1.24.0", cache=bench.cache, hosts=Hosts(), download=True, progress=print)
    assert "none on PATH; official release: no pinned sha256" in _one_line(error)


@pytest.mark.parametrize("version", ["1.24", "1.24.0", "1.25rc1", "1.30.2", "2.0"])
def test_a_go_that_is_new_enough_is_used(bench: Bench, version: str) -> None:
    bench.monkeypatch.setenv("GO_IS", version)
    assert find_go("1.24.0", cache=bench.cache, hosts=Hosts(), download=False, progress=print).version == version


def test_unknown_names_list_what_there_is(bench: Bench) -> None:
    with pytest.raises(UsageError, match="unknown program kubeadm: there are helper, tool"):
        bench.provide(only=["kubeadm"])
    with pytest.raises(UsageError, match=r"unknown Kubernetes version '9\.9\.9': the lab runs 1\.36\.3, 1\.34\.4"):
        version_set("9.9.9")


@pytest.mark.parametrize("version", known_versions())
def test_every_pinned_component_can_be_had(version: str) -> None:
    """Each has a Go module whose tool lines are its packages, or a Debian package; all name the same programs."""
    components = version_set(version)
    assert {binary for component in components.values() for binary in component.binaries} == {
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
        *("etcd", "coredns", "containerd", "containerd-shim-runc-v2", "ctr"),
    }
    for component in components.values():
        if component.distribution is None:
            mod = (component.module / "go.mod").read_text()
            assert (component.module / "go.sum").exists()
            for package in component.go_packages.values():
                assert re.search(rf"^(tool |\t){re.escape(package)}$", mod, re.MULTILINE), (component.name, package)
            assert go_line(component.module) <= go_release().version


def test_every_pinned_sum_belongs_to_a_file_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        asked.add(go_release().release)
        for version in known_versions():
            asked |= {release for component in version_set(version).values() for release in component.releases.values()}
    listed = re.findall(
        r'^"(https://\S+)" = "([0-9a-f]{64})"$',
        (Path(golang.__file__).parent / "components.toml").read_text(),
        re.MULTILINE,
    )
    assert len(listed) >= 6
    assert set(listed) == {(release.url, release.sha256) for release in asked if release.sha256}


@pytest.mark.parametrize(
    ("name", "binary", "output", "version"),
    [
        ("kubernetes", "kubelet", "Kubernetes v1.36.3", "1.36.3"),
        ("kubernetes", "kubectl", "Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", "1.32.4-dispatcher"),
        ("etcd", "etcd", "etcd Version: 3.6.8\nGit SHA: Not provided\nGo Version: go1.26.8", "3.6.8"),
        ("coredns", "coredns", "CoreDNS-1.14.2\nlinux/amd64, go1.26.8, ", "1.14.2"),
        ("containerd", "containerd", "containerd github.com/containerd/containerd/v2 v2.2.9 ", "2.2.9"),
        ("containerd", "containerd", "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1", "1.6.20"),
        ("containerd", "ctr", "ctr github.com/containerd/containerd/v2 v2.2.9-rc.1", "2.2.9-rc.1"),
        ("containerd", "containerd-shim-runc-v2", "shim:\n  Version:  v2.2.9\n  Go version: go1.26.8", "2.2.9"),
    ],
)
def test_what_programs_print_is_understood(name: str, binary: str, output: str, version: str) -> None:
    component = version_set(None)[name]
    assert binary in component.queries
    found = component.pattern.search(output)
    assert found is not None
    assert found.group(1) == version
