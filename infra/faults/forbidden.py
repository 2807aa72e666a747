"""Faults planted in the API server: a ValidatingAdmissionPolicy that refuses operations outright."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kip_conformance.infra.faults.policies import admission_policy, operations_on
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

__all__ = ["forbidden"]


@contextlib.contextmanager
def forbidden(
    lab: LabCluster, resources: Sequence[str], operations: Sequence[str], *, message: str, group: str = ""
) -> Iterator[None]:
    """For the length of the block these operations on these resources (also resource/subresource) are refused."""
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": operations_on(resources, operations, group=group),
        "validations": [{"expression": "false", "message": message}],
    }
    api = KubeApi(Path(lab.description.kubeconfig))
    with admission_policy(api, "ValidatingAdmissionPolicy", spec, bound={"validationActions": ["Deny"]}):
        yield
