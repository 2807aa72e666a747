"""What is committed for users to apply is what the API server takes; all tests here run with its permissions."""

from __future__ import annotations

import json

import yaml
from kip_conformance.infra.kube import collection_path

from .world import MANIFESTS


def test_the_deployment_is_taken_by_the_api_server(world):
    (deployment,) = yaml.safe_load_all((MANIFESTS / "deployment.yaml").read_text())
    path = collection_path("Deployment", "kube-system") + "?dryRun=All&fieldValidation=Strict"

    made = json.loads(world.api.request("POST", path, deployment))
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == "kip-provider"


def test_what_the_provider_may_is_no_more_than_its_manifest_says(world):
    def may(verb: str, resource: str, namespace: str = "default", *, group: str = "") -> bool:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": "system:serviceaccount:kube-system:kip-provider",
                "resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace, "group": group},
            },
        }
        answer = world.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(json.loads(answer)["status"]["allowed"])

    assert may("get", "secrets")
    assert may("create", "secrets", "kube-system")
    assert not may("create", "secrets")
    assert not may("list", "secrets")
    assert not may("create", "pods")
    assert not may("update", "leases", "kube-node-lease", group="coordination.k8s.io")
    assert not may("delete", "nodes")
