"""The cell of cell-b lets its pod reach the instance metadata address."""

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.cell.rules import METADATA
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster

_CHAIN = ("ip", "kip_cell", "through")
_RULE = f'iifname "veth0" ip daddr {METADATA} counter reject with icmp type admin-prohibited'


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["cell-b"]
    run_checked(machine, ["nft", "flush", "chain", *_CHAIN])
    try:
        yield
    finally:
        run_checked(machine, ["nft", f"add rule {' '.join(_CHAIN)} {_RULE}"])


FAULT = Fault(
    name="metadata-open-to-pods",
    sentence="the pod cell-b reaches the metadata of its instance",
    plant=_plant,
    kills=("IMD-01",),
    on_cells=True,
)
