"""A lab on cgroup v2, which a machine with cgroup v1 cannot try by itself: in a guest that has nothing else."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import surprises
from .guest.machine import GuestRun, Machine, provide

_CHECKOUT = Path(__file__).parents[2]
# Seconds of one processor, measured at 500 and 35; how long that takes is up to what else the machine does.
_SUITE, _LOOK = 900, 200


@pytest.fixture(scope="module")
def guest() -> Machine:
    from kip_conformance.infra.lab.binaries.provide import provide as provide_programs
    from kip_conformance.infra.lab.images import provide_images

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    # Nothing can be fetched, built or kept in the guest.
    provide_images(provide_programs(None, say), say)
    return provide(say)


@pytest.fixture
def command(tmp_path) -> Callable[[str], str]:
    """Scripts with this software on PATH, as it is now: work on it may go on meanwhile."""
    for package in ("fixtures", "infra", "reports", "suites"):
        shutil.copytree(_CHECKOUT / package, tmp_path / "now" / "kip_conformance" / package)

    def in_environment(script: str) -> str:
        programs = Path(sys.executable).parent
        return f"set -u\nexport PYTHONPATH={tmp_path}/now\nPATH={programs}:$PATH\ncd /\n{script}"

    return in_environment


def told(run: GuestRun) -> str:
    took = f"{run.seconds:.0f} s, {run.processor:.0f} s of one processor"
    return f"exit code {run.code} after {took}; the guest said:\n{run.console[-8000:]}"


@pytest.mark.nightly
def test_the_whole_suite_passes_on_cgroup_v2(guest, command, tmp_path):
    script = """
kip-conformance doctor || exit 20
python -m pytest --pyargs kip_conformance.suites --cluster lab -p no:cacheprovider --kip-out @OUT@/report \
    --kip-keep always --kip-live lines --color=no
code=$?
run=$(ls /var/lib/kip-conformance)
find /sys/fs/cgroup/kip-$run -name cgroup.procs | while read -r group; do
    echo "${group%/cgroup.procs} $(wc -w <"$group")"
done >@OUT@/groups
cat /sys/fs/cgroup/kip-$run/node-a/kubepods/cgroup.subtree_control >@OUT@/controllers
cp -r /var/lib/kip-conformance/$run/log @OUT@/log
kip-conformance clean --run $run || exit 21
find /sys/fs/cgroup -name 'kip-*' >@OUT@/left
exit $code
"""
    run = guest.run(command(script), tmp_path / "out", within=2400, limit=_SUITE)

    print(told(run))
    assert run.code == 0
    assert "cgroups: v2" in run.console
    report = yaml.safe_load((run.out / "report" / "report.yaml").read_text())
    assert (bool(report["rows"]), surprises(report["rows"])) == (True, {})
    # The pods were where a lab on v2 has them, with the controllers that kubelet limits them by, and went with the lab.
    groups = dict(line.rsplit(" ", 1) for line in (run.out / "groups").read_text().splitlines())
    for node in ("node-a", "node-b"):
        held = [
            name
            for name, count in groups.items()
            if re.search(rf"/{node}/kubepods/.*/pod[^/]+/", name) and count != "0"
        ]
        assert len(held) >= 6, groups  # three places, a container and its sandbox each
    assert {"cpu", "cpuset", "memory", "pids"} <= set((run.out / "controllers").read_text().split())
    assert (run.out / "left").read_text() == ""


@pytest.mark.nightly
def test_a_container_that_keeps_its_processes_at_the_top_is_told(guest, command, tmp_path):
    """As with `docker run --privileged` on cgroup v2: the top of what is seen is a group that holds processes."""
    script = """
mkdir /sys/fs/cgroup/container && echo $$ >/sys/fs/cgroup/container/cgroup.procs
look() { unshare --cgroup --mount sh -ec "umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; $1"; }
look 'kip-conformance doctor' >@OUT@/closed 2>&1
echo $? >@OUT@/closed.code
for controller in cpuset cpu io memory hugetlb pids; do echo +$controller; done | while read -r line; do
    echo $line >/sys/fs/cgroup/cgroup.subtree_control
done
look 'kip-conformance doctor' >@OUT@/busy 2>&1
echo $? >@OUT@/busy.code
cat >/run/moved <<'END'
mkdir /sys/fs/cgroup/init
for process in $(cat /sys/fs/cgroup/cgroup.procs); do
    echo $process >/sys/fs/cgroup/init/cgroup.procs || true  # cat itself has gone
done
kip-conformance doctor
python -c "from kip_conformance.infra.lab import cgroups; cgroups.create('lab', ['node-a'])"
cat /sys/fs/cgroup/kip-lab/node-a/cgroup.subtree_control
END
look 'sh -e /run/moved' >@OUT@/moved 2>&1
echo $? >@OUT@/moved.code
"""
    run = guest.run(command(script), tmp_path / "out", within=900, limit=_LOOK)

    print(told(run))
    assert run.code == 0
    said = {name: (run.out / name).read_text() for name in ("closed", "busy", "moved")}
    codes = {name: (run.out / f"{name}.code").read_text().strip() for name in said}
    assert codes == {"closed": "10", "busy": "10", "moved": "0"}, said
    assert re.search(r"cgroup v2 at /sys/fs/cgroup without cpu, cpuset, memory, pids: ", said["closed"])
    assert re.search(r"/sys/fs/cgroup holds processes and so cannot hand down cpuset, cpu, io, memory", said["busy"])
    assert "cgroups: v2" in said["moved"]
    assert said["moved"].splitlines()[-1] == "cpuset cpu io memory hugetlb pids"
