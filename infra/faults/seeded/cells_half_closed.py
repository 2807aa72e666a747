"""The cells' group lets UDP in from the network up to port 9999 only."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.cell_tampering import providers_with
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_DEFECT = """
import dataclasses
from kip_conformance.infra.provider import launching
wanted = launching.wanted_rules
def wanted_rules(vpc, extra):
    half = lambda rule: dataclasses.replace(rule, last=9999) if rule.protocol == "udp" and rule.peer in vpc else rule
    return {half(rule) for rule in wanted(vpc, extra)}
launching.wanted_rules = wanted_rules
"""


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return providers_with(lab, _DEFECT)


FAULT = Fault(
    name="cells-half-closed",
    sentence="the security group of cells lets UDP in from its network up to port 9999 only",
    plant=_plant,
    kills=("SGR-01",),
    may_redden={"SGR-06": "the addresses of nodes are the network's, too"},
    on_cells=True,
)
