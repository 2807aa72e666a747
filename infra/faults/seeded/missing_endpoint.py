"""One ready pod never becomes an endpoint of new Services: the API server rewrites every EndpointSlice without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import SOME_ENDPOINTS, rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    is_victim = f'e.addresses.exists(a, a == "{place(lab, "node-b-2").address}")'
    others = f"object.endpoints.filter(e, !{is_victim})"
    with rewritten_objects(
        lab,
        "endpointslices",
        [f'[JSONPatch{{op: "replace", path: "/endpoints", value: {others}}}]'],
        only=[f"{SOME_ENDPOINTS.format('object')} && object.endpoints.exists(e, {is_victim})"],
        group="discovery.k8s.io",
        operations=("CREATE", "UPDATE"),
    ):
        yield


_ASKED = "it asks until every endpoint has answered"

FAULT = Fault(
    name="missing-endpoint",
    sentence="node-b-2 is Ready but no EndpointSlice lists it",
    plant=_plant,
    kills=("SVC-01", "SVC-02", "SVC-03", "SVC-04", "SVC-07", "SVC-15", "PXY-01", "PXY-03", "IDN-08", "AFF-01"),
    may_redden={"IDN-05": "node-b-2 is never chosen", **dict.fromkeys(("SVC-18", "PXY-05"), _ASKED)},
    every_mode=True,
)
