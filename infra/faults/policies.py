"""Admission policies of the API server, planted for a while: what admission.py and forbidden.py stand on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kip_conformance.infra.kube import KubeApi

__all__ = ["admission_policy", "operations_on"]

_GROUP = "admissionregistration.k8s.io/v1"
_NAME = "kip-fault"


@contextlib.contextmanager
def admission_policy(
    api: KubeApi, kind: str, spec: Mapping[str, Any], *, bound: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """A policy of this kind (MutatingAdmissionPolicy, ValidatingAdmissionPolicy) in force for the length of the block.

    `bound` is merged over the spec of its binding. Raises ApiRefusal when the API server takes neither.
    """
    with _object(api, kind, dict(spec)), _object(api, f"{kind}Binding", {"policyName": _NAME, **(bound or {})}):
        yield


def operations_on(resources: Sequence[str], operations: Sequence[str], *, group: str = "") -> dict[str, Any]:
    """The matchConstraints of a policy about these operations on these resources (also resource/subresource)."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(operations), "resources": list(resources)}
    return {"resourceRules": [rule]}


@contextlib.contextmanager
def _object(api: KubeApi, kind: str, spec: dict[str, Any]) -> Iterator[None]:
    plural = kind.lower().removesuffix("policy") + "policies" if kind.endswith("Policy") else f"{kind.lower()}s"
    path = f"/apis/{_GROUP}/{plural}"
    api.request("POST", path, {"apiVersion": _GROUP, "kind": kind, "metadata": {"name": _NAME}, "spec": spec})
    try:
        yield
    finally:
        api.request("DELETE", f"{path}/{_NAME}")
