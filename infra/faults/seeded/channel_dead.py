"""No channel to any prober can be opened: their unix sockets are out of the way. The cluster itself is healthy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import run_in_pod
from kip_conformance.infra.machines.commands import run_checked
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
        run_checked(lab.machines[each.machine], ["mv", old, new])
    else:
        run_in_pod(lab, each, ["busybox", "mv", old, new])


FAULT = Fault(
    name="channel-dead",
    sentence="no channel to a prober can be opened",
    plant=_plant,
    is_harness=True,
)
