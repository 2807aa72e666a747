"""Faults planted in the API server: a ValidatingAdmissionPolicy that refuses operations outright."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

__all__ = ["forbidden"]

_GROUP = "/apis/admissionregistration.k8s.io/v1"
_NAME = "kip-fault-forbidden"


@contextlib.contextmanager
def forbidden(
    lab: LabCluster, resources: Sequence[str], operations: Sequence[str], *, message: str, group: str = ""
) -> Iterator[None]:
    """For the length of the block these operations on these resources (also resource/subresource) are refused."""
    api = KubeApi(Path(lab.description.kubeconfig))
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": list(resources)}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": _NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": message}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": _NAME},
        "spec": {"policyName": _NAME, "validationActions": ["Deny"]},
    }
    api.request("POST", f"{_GROUP}/validatingadmissionpolicies", policy)
    try:
        api.request("POST", f"{_GROUP}/validatingadmissionpolicybindings", binding)
        try:
            yield
        finally:
            api.request("DELETE", f"{_GROUP}/validatingadmissionpolicybindings/{_NAME}")
    finally:
        api.request("DELETE", f"{_GROUP}/validatingadmissionpolicies/{_NAME}")
