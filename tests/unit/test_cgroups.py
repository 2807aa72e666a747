"""Control groups on hierarchies that are folders: the rules of the kernel that matter are in KernelFolder."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PosixPath

import pytest
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab import cgroups

EVERY = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc")
MACHINES = ["node-a", "node-b"]


class KernelFolder(PosixPath):
    """A folder that answers as a control group does: files that appear, writes that are refused, removal."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        new = not self.exists()
        super().mkdir(mode, parents, exist_ok)
        if not new:
            return
        (self / "cgroup.procs").touch()
        if (self.parent / "cgroup.subtree_control").exists():
            PosixPath(self / "cgroup.controllers").write_text((self.parent / "cgroup.subtree_control").read_text())
            (self / "cgroup.subtree_control").touch()
            PosixPath(self / "cgroup.type").write_text("domain\n")
        if (self.parent / "cpuset.cpus").exists():
            (self / "cpuset.cpus").touch()
            (self / "cpuset.mems").touch()
        if (self.parent / "cpu.shares").exists():
            PosixPath(self / "cpu.shares").write_text("1024\n")

    def write_text(self, data: str, *_: object, **__: object) -> int:
        if self.name == "cgroup.subtree_control":
            self._enable(data.removeprefix("+"))
            return len(data)
        if self.name.startswith("cpuset.") and not (self.parent.parent / self.name).read_text().strip():
            raise OSError(errno.EACCES, "a cpuset cannot have more than its parent")
        return super().write_text(data)

    def _enable(self, controller: str) -> None:
        group = self.parent
        if controller not in (group / "cgroup.controllers").read_text().split():
            raise OSError(errno.ENOENT, "no such controller here")
        if (group / "cgroup.type").exists() and (group / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "no internal processes")
        PosixPath(self).write_text(f"{self.read_text().strip()} {controller}".strip() + "\n")
        for child in group.iterdir():
            if child.is_dir():
                PosixPath(child / "cgroup.controllers").write_text(self.read_text())

    def rmdir(self) -> None:
        if (self / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "has processes")
        if any(child.is_dir() for child in self.iterdir()):
            raise OSError(errno.ENOTEMPTY, "has children")
        shutil.rmtree(self)


def v1(root: Path, hierarchies: Iterable[str], links: dict[str, str] | None = None) -> KernelFolder:
    """A v1 layout: a folder per hierarchy, the cpuset filled as the kernel fills its root."""
    for name in hierarchies:
        (root / name).mkdir()
        (root / name / "cgroup.procs").write_text("1\n")
    for name in {"cpuset", *(links or {})}.intersection(hierarchies):
        (root / name / "cpuset.cpus").write_text("0-1\n")
        (root / name / "cpuset.mems").write_text("0\n")
    for link, target in (links or {}).items():
        (root / link).symlink_to(target)
    return KernelFolder(root)


def v2(
    root: Path, offered: Iterable[str] = EVERY, enabled: Iterable[str] = (), *, processes: str = "1\n2\n"
) -> KernelFolder:
    """The true root of a v2 hierarchy: it has processes and no type."""
    (root / "cgroup.controllers").write_text(" ".join(offered) + "\n")
    (root / "cgroup.subtree_control").write_text(" ".join(enabled) + "\n")
    (root / "cgroup.procs").write_text(processes)
    return KernelFolder(root)


def delegated(
    root: Path, offered: Iterable[str] = EVERY, enabled: Iterable[str] = (), *, processes: str = ""
) -> KernelFolder:
    """What a container with a cgroup namespace sees at the top: a group like any other."""
    (root / "cgroup.type").write_text("domain\n")
    return v2(root, offered, enabled, processes=processes)


def enabled_in(group: Path) -> set[str]:
    return set((group / "cgroup.subtree_control").read_text().split())


def folders(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_dir() and not path.is_symlink() and "kip-" in str(path)
    }


class TestV1:
    PLAIN = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids", "systemd")

    def test_every_hierarchy_gets_a_group_per_machine(self, tmp_path):
        root = v1(tmp_path, self.PLAIN)

        cgroups.create("run", MACHINES, root)

        assert cgroups.require(root) == 1
        assert folders(root) == {
            f"{name}/kip-run{below}" for name in self.PLAIN for below in ("", "/node-a", "/node-b")
        }

    def test_cpusets_are_filled_from_the_top_down(self, tmp_path):
        root = v1(tmp_path, self.PLAIN)

        cgroups.create("run", MACHINES, root)

        for group in ("kip-run", "kip-run/node-a", "kip-run/node-b"):
            assert (root / "cpuset" / group / "cpuset.cpus").read_text() == "0-1\n"
            assert (root / "cpuset" / group / "cpuset.mems").read_text() == "0\n"

    def test_all_pods_together_weigh_more_than_one_process(self, tmp_path):
        root = v1(tmp_path, self.PLAIN)
        (root / "cpu" / "cpu.shares").write_text("1024\n")

        cgroups.create("run", MACHINES, root)

        assert (root / "cpu" / "kip-run" / "cpu.shares").read_text() == "10240\n"
        assert (root / "cpu" / "kip-run" / "node-a" / "cpu.shares").read_text() == "1024\n"

    def test_a_cpuset_that_shares_its_hierarchy_is_filled_too(self, tmp_path):
        root = v1(tmp_path, ("cpuset,cpu", "memory", "pids"))
        for name in ("cpu", "cpuset"):
            (tmp_path / name).symlink_to("cpuset,cpu")
        for name in ("cpus", "mems"):
            (tmp_path / "cpuset,cpu" / f"cpuset.{name}").write_text("0\n")

        cgroups.create("run", MACHINES, root)

        assert (root / "cpuset,cpu" / "kip-run" / "node-b" / "cpuset.cpus").read_text() == "0\n"

    def test_links_of_systemd_count_as_controllers_and_not_as_hierarchies(self, tmp_path):
        root = v1(
            tmp_path, ("cpu,cpuacct", "cpuset", "memory", "pids"), {"cpu": "cpu,cpuacct", "cpuacct": "cpu,cpuacct"}
        )

        cgroups.create("run", MACHINES, root)

        assert [path.parent.name for path in cgroups.leftovers("run", root)] == [
            "cpu,cpuacct", "cpuset", "memory", "pids",
        ]  # fmt: skip

    def test_the_unified_mount_of_a_hybrid_is_left_alone_but_looked_at(self, tmp_path):
        root = v1(tmp_path, (*self.PLAIN, "unified"))

        cgroups.create("run", MACHINES, root)
        assert not (root / "unified" / "kip-run").exists()
        # runc mirrors the groups of its containers there.
        KernelFolder(root / "unified" / "kip-run" / "node-a").mkdir(parents=True)
        (root / "unified" / "kip-run" / "cgroup.procs").touch()

        assert cgroups.remove("run", root, within=0) == []
        assert folders(root) == set()

    def test_what_is_missing_is_named_at_once_and_nothing_is_made(self, tmp_path):
        root = v1(tmp_path, ("cpu", "devices"))

        with pytest.raises(EnvironmentFault, match=r"^cgroup v1 without cpuset, memory, pids: "):
            cgroups.create("run", MACHINES, root)

        assert folders(root) == set()

    def test_a_machine_without_any_hierarchy(self, tmp_path):
        with pytest.raises(EnvironmentFault, match="cgroup v1 without cpu, cpuset, memory, pids"):
            cgroups.require(tmp_path / "absent")
        assert cgroups.known_runs(tmp_path / "absent") == []


class TestV2:
    WANTED = frozenset({"cpuset", "cpu", "io", "memory", "hugetlb", "pids"})

    def test_controllers_are_handed_down_to_the_machines_children(self, tmp_path):
        root = v2(tmp_path)

        cgroups.create("run", MACHINES, root)

        assert cgroups.require(root) == 2
        for group in (".", "kip-run", "kip-run/node-a", "kip-run/node-b"):
            assert enabled_in(root / group) == self.WANTED
        assert folders(root) == {"kip-run", "kip-run/node-a", "kip-run/node-b"}

    def test_what_the_root_hands_down_already_is_left_as_it_is(self, tmp_path):
        root = v2(tmp_path, enabled=("memory", "pids", "misc"))

        cgroups.create("run", MACHINES, root)

        assert enabled_in(root) == self.WANTED | {"misc"}
        assert enabled_in(root / "kip-run" / "node-a") == self.WANTED

    def test_a_kernel_without_huge_pages_or_io_is_good_enough(self, tmp_path):
        root = v2(tmp_path, ("cpuset", "cpu", "memory", "pids"))

        cgroups.create("run", MACHINES, root)

        assert enabled_in(root / "kip-run" / "node-b") == {"cpuset", "cpu", "memory", "pids"}

    def test_what_is_missing_is_named_at_once_and_nothing_is_made(self, tmp_path):
        root = v2(tmp_path, ("cpu", "io", "memory"))

        with pytest.raises(EnvironmentFault, match=rf"^cgroup v2 at {tmp_path} without cpuset, pids: ") as fault:
            cgroups.create("run", MACHINES, root)

        assert "\n" not in str(fault.value)
        assert folders(root) == set()
        assert enabled_in(root) == set()

    def test_processes_in_the_true_root_are_allowed(self, tmp_path):
        root = v2(tmp_path, processes="1\n2\n3\n")

        assert cgroups.require(root) == 2

    def test_a_delegated_top_that_holds_processes_is_refused_before_anything_is_made(self, tmp_path):
        root = delegated(tmp_path, enabled=("memory",), processes="1\n")

        with pytest.raises(EnvironmentFault, match="holds processes and so cannot hand down cpuset, cpu, io, hugetlb"):
            cgroups.create("run", MACHINES, root)

        assert folders(root) == set()
        assert enabled_in(root) == {"memory"}

    def test_a_delegated_top_whose_processes_moved_below_it_is_used(self, tmp_path):
        root = delegated(tmp_path)
        KernelFolder(root / "init").mkdir()
        (root / "init" / "cgroup.procs").write_text("1\n")

        cgroups.create("run", MACHINES, root)

        assert enabled_in(root / "kip-run" / "node-a") == self.WANTED

    def test_a_process_that_moves_in_meanwhile_is_the_same_fault(self, tmp_path):
        root = delegated(tmp_path)
        KernelFolder(root / "kip-run").mkdir()
        (root / "kip-run" / "cgroup.procs").write_text("77\n")

        with pytest.raises(EnvironmentFault, match=r"kip-run holds processes and so cannot hand down cpuset"):
            cgroups.create("run", MACHINES, root)

    def test_a_controller_that_the_kernel_refuses_is_named(self, tmp_path, monkeypatch):
        root = v2(tmp_path)
        enable = KernelFolder._enable

        def refuse_cpu(self: KernelFolder, controller: str) -> None:
            if controller == "cpu":  # as with real-time processes outside of the root
                raise OSError(errno.EINVAL, "no")
            enable(self, controller)

        monkeypatch.setattr(KernelFolder, "_enable", refuse_cpu)

        with pytest.raises(EnvironmentFault, match=rf"{tmp_path} cannot hand down cpu: Invalid argument"):
            cgroups.create("run", MACHINES, root)

    def test_a_top_that_cannot_be_written_is_refused(self, tmp_path, monkeypatch):
        root = v2(tmp_path)
        monkeypatch.setattr(os, "access", lambda *_: False)

        with pytest.raises(EnvironmentFault, match=r"cannot be written: a container must be privileged"):
            cgroups.require(root)

    def test_creating_twice_changes_nothing(self, tmp_path):
        root = v2(tmp_path)

        cgroups.create("run", MACHINES, root)
        cgroups.create("run", MACHINES, root)

        assert folders(root) == {"kip-run", "kip-run/node-a", "kip-run/node-b"}


@pytest.fixture(params=["v1", "v2"])
def root(request, tmp_path) -> KernelFolder:
    return v1(tmp_path, TestV1.PLAIN) if request.param == "v1" else v2(tmp_path)


class TestRemoval:
    def test_everything_below_a_lab_goes_deepest_first(self, root):
        cgroups.create("run", MACHINES, root)
        for top in cgroups.leftovers("run", root):
            for below in ("kubepods", "kubepods/besteffort", "kubepods/besteffort/pod1"):
                KernelFolder(top / "node-a" / below).mkdir()

        assert cgroups.remove("run", root, within=0) == []

        assert folders(root) == set()
        assert cgroups.leftovers("run", root) == []

    def test_a_group_that_holds_a_process_is_told_and_the_rest_goes(self, root):
        cgroups.create("run", MACHINES, root)
        held = cgroups.leftovers("run", root)[0]
        (held / "node-b" / "cgroup.procs").write_text("4711\n")

        assert cgroups.remove("run", root, within=0) == [held]

        assert folders(root) == {str((held / below).relative_to(root)) for below in (".", "node-b")}

    def test_a_group_that_empties_within_the_time_goes(self, root, monkeypatch):
        cgroups.create("run", MACHINES, root)
        held = cgroups.leftovers("run", root)[0] / "node-b" / "cgroup.procs"
        held.write_text("4711\n")
        monkeypatch.setattr("time.sleep", lambda _: PosixPath(held).write_text(""))

        assert cgroups.remove("run", root, within=5) == []

    def test_other_labs_are_left_alone(self, root):
        for run in ("one", "two"):
            cgroups.create(run, MACHINES, root)

        cgroups.remove("one", root, within=0)

        assert cgroups.known_runs(root) == ["two"]
        assert cgroups.leftovers("two", root) != []

    def test_a_run_is_used_as_long_as_a_process_is_in_one_of_its_groups(self, root):
        cgroups.create("run", MACHINES, root)
        assert not cgroups.are_used("run", root)
        held = cgroups.leftovers("run", root)[-1] / "node-b" / "cgroup.procs"
        held.write_text("4711\n")

        assert cgroups.are_used("run", root)
        held.write_text("")
        assert not cgroups.are_used("run", root)
        assert not cgroups.are_used("never", root)

    def test_removing_what_does_not_exist_is_fine(self, root):
        assert cgroups.remove("never", root, within=0) == []
        assert cgroups.known_runs(root) == []


class TestMachinesOfTheirOwn:
    """Instances join a group of their own, which goes when they are terminated."""

    def test_a_program_joins_its_machines_group_in_every_hierarchy_of_v1(self, tmp_path):
        root = v1(tmp_path, TestV1.PLAIN)
        cgroups.create("run", ["i-1"], root)
        argv = cgroups.joining("run", "i-1", ["sh", "-c", 'echo "$1" > "$0"', str(tmp_path / "said"), "word"], root)

        subprocess.run(argv, check=True)
        assert (tmp_path / "said").read_text() == "word\n"
        for name in TestV1.PLAIN:
            assert (root / name / "kip-run/i-1/cgroup.procs").read_text().strip().isdigit()

    def test_on_v2_it_joins_a_group_that_hands_nothing_down(self, tmp_path):
        root = v2(tmp_path)
        cgroups.create("run", ["i-1"], root)
        argv = cgroups.joining("run", "i-1", ["true"], root)

        assert str(root / "kip-run/i-1/system") in argv[3].split()
        assert (root / "kip-run/i-1/system").is_dir()

    def test_one_machines_groups_go_and_the_others_stay(self, tmp_path):
        root = v1(tmp_path, TestV1.PLAIN)
        cgroups.create("run", ["i-1", "i-2"], root)
        (root / "cpu/kip-run/i-1/pod").mkdir()
        cgroups.remove_machine("run", "i-1", root)

        assert folders(root) == {f"{name}/kip-run{below}" for name in TestV1.PLAIN for below in ("", "/i-2")}
