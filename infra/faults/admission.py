"""Faults planted in the API server: a MutatingAdmissionPolicy that rewrites objects on their way in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from kip_conformance.infra.faults.policies import admission_policy, operations_on
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

__all__ = ["SOME_ENDPOINTS", "rewritten_objects", "without_endpoints"]

# Of an EndpointSlice: a slice without endpoints has null there, on which `exists` is an error, and an error a refusal.
SOME_ENDPOINTS = "has({0}.endpoints) && {0}.endpoints != null"


@contextlib.contextmanager
def rewritten_objects(
    lab: LabCluster,
    resource: str,
    patches: Sequence[str],
    *,
    only: Sequence[str],
    group: str = "",
    operations: Sequence[str] = ("CREATE",),
) -> Iterator[KubeApi]:
    """For the length of the block objects of a resource are patched by these CEL expressions of JSONPatch lists.

    `only` are CEL conditions that an object must meet, so that nothing but the victim is touched. Yields the API.
    """
    api = KubeApi(Path(lab.description.kubeconfig))
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": operations_on([resource], operations, group=group),
        "matchConditions": [
            {"name": f"only-{number}", "expression": text} for number, text in enumerate(only, start=1)
        ],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}} for patch in patches],
    }
    with admission_policy(api, "MutatingAdmissionPolicy", spec):
        yield api


def without_endpoints(lab: LabCluster, is_victim: str) -> AbstractContextManager[KubeApi]:
    """EndpointSlices are stored without the endpoints `e` of which this CEL expression is true."""
    return rewritten_objects(
        lab,
        "endpointslices",
        [f'[JSONPatch{{op: "replace", path: "/endpoints", value: object.endpoints.filter(e, !({is_victim}))}}]'],
        only=[f"{SOME_ENDPOINTS.format('object')} && object.endpoints.exists(e, {is_victim})"],
        group="discovery.k8s.io",
        operations=("CREATE", "UPDATE"),
    )
