"""Cell-b forwards nothing while its provider is away: a watcher there asks for the provider's port."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.cell_tampering import cell_machine
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.cells import KUBELET_PORT, PROVIDERS
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster

_TABLE = "ip kip_fault"
_RULES = f"table {_TABLE} {{ chain forward {{ type filter hook forward priority -300; drop; }}; }}"
_WATCHER = f"""
while sleep 0.1; do
  if (exec 3<>/dev/tcp/{PROVIDERS[0].host.address}/{KUBELET_PORT}) 2>/dev/null
  then nft list table {_TABLE} >/dev/null 2>&1 && nft delete table {_TABLE}
  else nft list table {_TABLE} >/dev/null 2>&1 || echo '{_RULES}' | nft -f -
  fi
done
"""


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = cell_machine(lab, "cell-b")
    held = machine.open(["bash", "-c", _WATCHER])
    try:
        yield
    finally:
        held.close()
        run_checked(machine, ["sh", "-c", f"! nft list table {_TABLE} >/dev/null 2>&1 || nft delete table {_TABLE}"])


FAULT = Fault(
    name="cell-waits-for-its-provider",
    sentence="cell-b forwards nothing while its provider does not run",
    plant=_plant,
    kills=("NOD-03",),
    on_cells=True,
)
