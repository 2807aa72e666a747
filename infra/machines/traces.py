"""What a machine knows of a pod: its interface, routes, neighbours, rules, and the address that is reserved for it."""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["PodTraces", "pod_traces", "rules_naming"]

# Each section names the kind of trace. A pod's address as a whole word: 10.0.0.1 is no trace of 10.0.0.11.
_SCRIPT = r"""
address=$(printf '%s' "$0" | sed 's/\./\\./g')
of() { grep -E "(^|[^0-9.])$address([^0-9.]|\$)" | sed "s|^|$1: |"; }
ip -o -4 addr show | of address
ip -o -4 route show table all | of route
ip -o -4 neigh show | of neighbour
nft list ruleset 2>/dev/null | of rule
iptables-legacy-save 2>/dev/null | of rule
find /var/lib/cni -name "$0" 2>/dev/null | sed 's|^|reservation: |'
ip -o link show | grep "^$1: " | sed 's|^|interface: |'
exit 0
"""


@dataclass(frozen=True, slots=True)
class PodTraces:
    """The lines in which a machine mentions a pod, each with its kind in front ("route: ...")."""

    lines: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(line.partition(":")[0] for line in self.lines)

    def __str__(self) -> str:
        return "; ".join(self.lines) or "nothing"


def pod_traces(machine: Machine, address: str, interface: int) -> PodTraces:
    """All that a machine has of the pod with this address, whose interface's other end has this index on the machine.

    Raises HarnessError when the machine cannot be read.
    """
    done = machine.run(["sh", "-c", _SCRIPT, address, str(interface)])
    if done.returncode != 0:
        raise HarnessError(f"{machine.name}: cannot look for {address}: {done.stderr.decode(errors='replace').strip()}")
    return PodTraces(tuple(" ".join(line.split()) for line in done.stdout.decode(errors="replace").splitlines()))


def rules_naming(machine: Machine, address: str) -> tuple[str, ...]:
    """The packet filter's rules on a machine that name an address. Raises HarnessError when they cannot be read."""
    # No interface has the index 0.
    return tuple(line for line in pod_traces(machine, address, 0).lines if line.startswith("rule: "))
