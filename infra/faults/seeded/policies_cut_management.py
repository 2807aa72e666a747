"""On new cells a NetworkPolicy that isolates the pod closes the port of the agent, too."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import agents_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
from kip_conformance.infra.cell import policy
sound = policy.policy_rules
def policy_rules(pod_address, told):
    rules = sound(pod_address, told)
    if told.get("ingress") is None:
        return rules
    closed = "chain agent { type filter hook input priority filter + 10; tcp dport 6421 drop; }"
    return f"{rules.rstrip()[:-1]}  {closed}" + chr(10) + "}" + chr(10)
policy.policy_rules = policy_rules
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return agents_with(lab, _DEFECT)


FAULT = Fault(
    name="policies-cut-management",
    sentence="a policy that isolates a pod on a cell closes the agent's port as well",
    plant=_plant,
    kills=("MGT-03",),
    on_cells=True,
)
