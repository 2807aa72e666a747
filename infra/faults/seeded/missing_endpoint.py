"""One ready pod never becomes an endpoint of new Services: the API server rewrites every EndpointSlice without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

_GROUP = "/apis/admissionregistration.k8s.io/v1"
_NAME = "kip-fault-missing-endpoint"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    api = KubeApi(Path(lab.description.kubeconfig))
    address = place(lab, "node-b-2").address
    keep = f'object.endpoints.filter(e, !e.addresses.exists(a, a == "{address}"))'
    api.request("POST", f"{_GROUP}/mutatingadmissionpolicies", _policy(address, keep))
    try:
        api.request("POST", f"{_GROUP}/mutatingadmissionpolicybindings", _binding())
        try:
            yield
        finally:
            api.request("DELETE", f"{_GROUP}/mutatingadmissionpolicybindings/{_NAME}")
    finally:
        api.request("DELETE", f"{_GROUP}/mutatingadmissionpolicies/{_NAME}")


def _policy(address: str, keep: str) -> dict[str, object]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": _NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["discovery.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["endpointslices"],
                    }
                ]
            },
            "matchConditions": [
                {
                    "name": "has-the-endpoint",
                    "expression": f'object.endpoints.exists(e, e.addresses.exists(a, a == "{address}"))',
                }
            ],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": f'[JSONPatch{{op: "replace", path: "/endpoints", value: {keep}}}]'},
                }
            ],
        },
    }


def _binding() -> dict[str, object]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": _NAME},
        "spec": {"policyName": _NAME},
    }


_ASKED = "it asks until every endpoint has answered"

FAULT = Fault(
    name="missing-endpoint",
    sentence="node-b-2 is Ready but no EndpointSlice lists it",
    plant=_plant,
    kills=("SVC-01", "SVC-02", "SVC-03", "SVC-04", "SVC-07", "SVC-15", "PXY-01", "PXY-03", "IDN-08", "AFF-01"),
    may_redden={"IDN-05": "node-b-2 is never chosen", **dict.fromkeys(("SVC-18", "PXY-05"), _ASKED)},
    every_mode=True,
)
