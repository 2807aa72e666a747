"""ServiceAccount tokens are made out to somebody else: pods ask for ones that the API server does not accept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster

# Where the API server itself puts the token of a pod that has no other volume.
_TOKEN = "/spec/volumes/0/projected/sources/0/serviceAccountToken"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    has_token = "has(object.spec.volumes) && has(object.spec.volumes[0].projected)"
    other = f'[JSONPatch{{op: "add", path: "{_TOKEN}/audience", value: "somebody-else"}}]'
    with rewritten_objects(lab, "pods", [other], only=[has_token]):
        yield


FAULT = Fault(
    name="token-refused",
    sentence="the API server refuses the tokens of new pods' ServiceAccounts",
    plant=_plant,
    kills=("N2P-06",),
)
