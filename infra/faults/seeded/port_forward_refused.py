"""Nobody may forward a port; logs, exec and attach work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.forbidden import forbidden
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return forbidden(lab, ["pods/portforward"], ["CONNECT"], message="port-forward is broken")


FAULT = Fault(
    name="port-forward-refused",
    sentence="the API server forwards no port of a pod",
    plant=_plant,
    kills=("N2P-09",),
)
