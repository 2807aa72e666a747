"""DNS never hears of one member of a headless Service: the API server rewrites EndpointSlices without its hostname."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import SOME_ENDPOINTS, rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

_IS_MEMBER = 'has(e.hostname) && e.hostname.endsWith("-1")'


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    others = f"object.endpoints.filter(e, !({_IS_MEMBER}))"
    with rewritten_objects(
        lab,
        "endpointslices",
        [f'[JSONPatch{{op: "replace", path: "/endpoints", value: {others}}}]'],
        only=[f"{SOME_ENDPOINTS.format('object')} && object.endpoints.exists(e, {_IS_MEMBER})"],
        group="discovery.k8s.io",
        operations=("CREATE", "UPDATE"),
    ):
        yield


FAULT = Fault(
    name="member-record-missing",
    sentence="a ready pod with a hostname that ends in -1 is in no EndpointSlice",
    plant=_plant,
    kills=("DNS-02",),
)
