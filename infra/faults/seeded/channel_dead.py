"""No channel to any prober can be opened: their unix sockets are out of the way. The cluster itself is healthy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Place

_ASIDE = ".aside"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    moved: list[Place] = []
    try:
        for each in lab.places:
            _rename(lab, each, each.socket, each.socket + _ASIDE)
            moved.append(each)
        yield
    finally:
        for each in moved:
            _rename(lab, each, each.socket + _ASIDE, each.socket)


def _rename(lab: LabCluster, each: Place, old: str, new: str) -> None:
    if each.pod is None:
        done = lab.machines[each.machine].run(["mv", old, new])
    else:
        kubectl = [str(Path(lab.description.details["kubectl"])), "--kubeconfig", lab.description.kubeconfig]
        inside = ["-n", each.pod.namespace, "exec", each.pod.name, "--", "busybox", "mv", old, new]
        done = lab.control.run([*kubectl, *inside])
    if done.returncode != 0:
        raise HarnessError(f"{each.name}: {old} could not be renamed: {done.stderr.decode(errors='replace').strip()}")


FAULT = Fault(
    name="channel-dead",
    sentence="no channel to a prober can be opened",
    plant=_plant,
    is_harness=True,
)
