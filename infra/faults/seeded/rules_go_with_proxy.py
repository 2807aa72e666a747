"""Node-a forgets its Services when their proxy ends: a watcher there drops what is sent to ClusterIPs meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster

_TABLE = "ip kip_fault"
_RULES = (
    f"table {_TABLE} {{"
    f" chain prerouting {{ type filter hook prerouting priority -300; ip daddr {PLAN.services} drop; }};"
    f" chain output {{ type filter hook output priority -300; ip daddr {PLAN.services} drop; }}; }}"
)
# 10256 is the health port of kube-proxy.
_WATCHER = f"""
while sleep 0.1; do
  if (exec 3<>/dev/tcp/127.0.0.1/10256) 2>/dev/null
  then nft list table {_TABLE} >/dev/null 2>&1 && nft delete table {_TABLE}
  else nft list table {_TABLE} >/dev/null 2>&1 || echo '{_RULES}' | nft -f -
  fi
done
"""


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    machine = lab.machines["node-a"]
    held = machine.open(["bash", "-c", _WATCHER])
    try:
        yield
    finally:
        held.close()
        run_checked(machine, ["sh", "-c", f"! nft list table {_TABLE} >/dev/null 2>&1 || nft delete table {_TABLE}"])


FAULT = Fault(
    name="rules-go-with-proxy",
    sentence="on node-a no Service answers while the service proxy does not run",
    plant=_plant,
    kills=("PXY-05",),
    every_mode=True,
)
