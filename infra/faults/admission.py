"""Faults planted in the API server: a MutatingAdmissionPolicy that rewrites objects on their way in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

__all__ = ["SOME_ENDPOINTS", "rewritten_objects"]

# Of an EndpointSlice: a slice without endpoints has null there, on which `exists` is an error, and an error a refusal.
SOME_ENDPOINTS = "has({0}.endpoints) && {0}.endpoints != null"

_GROUP = "/apis/admissionregistration.k8s.io/v1"
_NAME = "kip-fault"


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
    api.request("POST", f"{_GROUP}/mutatingadmissionpolicies", _policy(resource, group, operations, only, patches))
    try:
        api.request("POST", f"{_GROUP}/mutatingadmissionpolicybindings", _binding())
        try:
            yield api
        finally:
            api.request("DELETE", f"{_GROUP}/mutatingadmissionpolicybindings/{_NAME}")
    finally:
        api.request("DELETE", f"{_GROUP}/mutatingadmissionpolicies/{_NAME}")


def _policy(
    resource: str, group: str, operations: Sequence[str], only: Sequence[str], patches: Sequence[str]
) -> Mapping[str, Any]:
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": [resource]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": _NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [
                {"name": f"only-{number}", "expression": text} for number, text in enumerate(only, start=1)
            ],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}} for patch in patches],
        },
    }


def _binding() -> Mapping[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": _NAME},
        "spec": {"policyName": _NAME},
    }
