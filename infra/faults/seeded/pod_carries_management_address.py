"""Inside the pod cell-b the management address of its cell is configured, too."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["cell-b"]
    inside = ["nsenter", "--net=/run/netns/pod", "ip", "addr"]
    run_checked(machine, [*inside, "add", f"{machine.addresses[0]}/32", "dev", "veth1"])
    try:
        yield
    finally:
        run_checked(machine, [*inside, "del", f"{machine.addresses[0]}/32", "dev", "veth1"])


FAULT = Fault(
    name="pod-carries-management-address",
    sentence="the pod cell-b carries the management address of its cell",
    plant=_plant,
    kills=("ADR-02",),
    on_cells=True,
)
