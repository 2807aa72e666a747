"""One ready pod never becomes an endpoint of new Services: the API server rewrites every EndpointSlice without it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from kip_conformance.infra.faults.admission import without_endpoints
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[Any]:
    return without_endpoints(lab, f'e.addresses.exists(a, a == "{place(lab, "node-b-2").address}")')


_ASKED = "it asks until every endpoint has answered"

FAULT = Fault(
    name="missing-endpoint",
    sentence="node-b-2 is Ready but no EndpointSlice lists it",
    plant=_plant,
    kills=("SVC-01", "SVC-02", "SVC-03", "SVC-04", "SVC-07", "SVC-15", "PXY-01", "PXY-03", "IDN-08", "AFF-01"),
    may_redden={"IDN-05": "node-b-2 is never chosen", **dict.fromkeys(("SVC-18", "PXY-05"), _ASKED)},
    every_mode=True,
)
