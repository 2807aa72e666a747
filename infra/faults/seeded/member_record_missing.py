"""DNS never hears of one member of a headless Service: the API server rewrites EndpointSlices without its hostname."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from kip_conformance.infra.faults.admission import without_endpoints
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_IS_MEMBER = 'has(e.hostname) && e.hostname.endsWith("-1")'


def _plant(lab: LabCluster) -> AbstractContextManager[Any]:
    return without_endpoints(lab, _IS_MEMBER)


FAULT = Fault(
    name="member-record-missing",
    sentence="a ready pod with a hostname that ends in -1 is in no EndpointSlice",
    plant=_plant,
    kills=("DNS-02",),
)
