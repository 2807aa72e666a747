"""NetworkPolicies reach the agents of the pods that they select: with the pod, and again whenever they mean else."""

from __future__ import annotations

import pytest

OPEN = {"ingress": None, "egress": None}


@pytest.fixture
def policy(world):
    """Make policies of namespace default; all of them go with the test."""
    made = []

    def make(name, **spec):
        metadata = {"name": name, "namespace": "default"}
        manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
        made.append(name)
        return world.api.create(manifest)

    yield make
    for name in made:
        if world.api.find("NetworkPolicy", name, "default"):
            world.api.delete("NetworkPolicy", name, "default")


def told(world, pod):
    return world.body(pod)["policy"]


def comes_to(world, pod, wanted):
    world.until(lambda: told(world, pod) == wanted, f"its policy is {told(world, pod)}, not {wanted}")


def test_a_policy_that_is_there_comes_with_the_pod_and_its_changes_after_it(world, policy):
    policy("closed", podSelector={}, policyTypes=["Ingress"])
    pod = world.pod()
    world.wait_running(pod)

    assert told(world, pod) == {"ingress": [], "egress": None}
    deploys = world.body(pod)["deploys"]
    world.api.delete("NetworkPolicy", "closed", "default")
    comes_to(world, pod, OPEN)
    assert world.body(pod)["deploys"] == deploys
    world.delete(pod)


def test_who_is_meant_follows_pods_and_namespaces(world, policy):
    pod, other = world.pod(), world.pod()
    _, status = world.wait_running(pod, other)
    space = {"namespaceSelector": {"matchLabels": {"team": "shop"}}, "podSelector": {"matchLabels": {"role": "client"}}}
    policy("some", podSelector={"matchLabels": {"role": "server"}}, ingress=[{"from": [space]}])
    label(world, pod, role="server")
    comes_to(world, pod, {"ingress": [], "egress": None})
    label(world, other, role="client")
    world.api.patch("Namespace", "default", {"metadata": {"labels": {"team": "shop"}}})
    rule = {"peers": {"addresses": [status["podIP"]], "blocks": []}, "ports": None}
    comes_to(world, pod, {"ingress": [rule], "egress": None})
    assert told(world, other) == OPEN

    world.delete(other)
    comes_to(world, pod, {"ingress": [], "egress": None})
    label(world, pod, role="none")
    comes_to(world, pod, OPEN)
    world.delete(pod)


def label(world, pod, **labels):
    world.api.patch("Pod", pod["metadata"]["name"], {"metadata": {"labels": labels}}, "default")
