"""Nobody may attach to a container; logs and exec work."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.forbidden import forbidden
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    return forbidden(lab, ["pods/attach"], ["CONNECT"], message="attach is broken")


FAULT = Fault(
    name="attach-refused",
    sentence="the API server attaches nobody to a container",
    plant=_plant,
    kills=("N2P-08",),
)
