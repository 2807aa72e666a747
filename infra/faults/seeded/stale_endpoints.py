"""EndpointSlices keep endpoints that are gone or unready: the API server refuses to take any away from one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import SOME_ENDPOINTS, rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_READY = "has({0}.conditions.ready) && {0}.conditions.ready"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    has_old, has_new = SOME_ENDPOINTS.format("oldObject"), SOME_ENDPOINTS.format("object")
    same = f"new.addresses == old.addresses && {_READY.format('new')}"
    is_lost = f"{_READY.format('old')} && !({has_new} && object.endpoints.exists(new, {same}))"
    # Endpoints that are new are taken in beside the old ones.
    is_added = "!oldObject.endpoints.exists(old, old.addresses == new.addresses)"
    kept = f"oldObject.endpoints + ({has_new} ? object.endpoints.filter(new, {is_added}) : [])"
    with rewritten_objects(
        lab,
        "endpointslices",
        [f'[JSONPatch{{op: "add", path: "/endpoints", value: {kept}}}]'],
        only=[f"{has_old} && oldObject.endpoints.exists(old, {is_lost})"],
        group="discovery.k8s.io",
        operations=["UPDATE"],
    ):
        yield


FAULT = Fault(
    name="stale-endpoints",
    sentence="endpoints that are deleted or unready stay in their EndpointSlice as ready",
    plant=_plant,
    kills=("EPT-01", "EPT-02", "CTK-01"),
    may_redden=dict.fromkeys(
        ("SVC-11", "PXY-01", "PXY-03", "PXY-05"), "endpoints that the selector no longer selects stay, too"
    ),
    every_mode=True,
)
