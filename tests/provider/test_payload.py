"""What an agent is given with its pod, and given again when it changes."""

from __future__ import annotations

import base64
import json


def secret(name: str, kind: str = "Opaque", **data: str) -> dict:
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": encoded}


def config_map(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def test_volumes_environment_tokens_and_names_are_resolved_for_the_agent(world):
    login = json.dumps({"auths": {"registry.example": {"auth": "eDp5"}}})
    pulls = {**secret("pull", "kubernetes.io/dockerconfigjson"), "data": {}}
    pulls["data"][".dockerconfigjson"] = base64.b64encode(login.encode()).decode()
    for item in (config_map("settings", colour="red"), secret("keys", key="value"), pulls):
        world.api.create(item)
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "them"}}
    pod = world.pod(
        volumes=[
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "keys", "secret": {"secretName": "keys"}},
            {"name": "maybe", "secret": {"secretName": "nobody", "optional": True}},
            {"name": "who", "projected": {"sources": [token]}},
        ],
        imagePullSecrets=[{"name": "pull"}, {"name": "nobody"}],
    )
    world.wait_running(pod)
    body = world.body(pod)

    assert body["configMaps"] == {"settings": {"colour": "red"}}
    assert body["secrets"] == {"keys": {"key": base64.b64encode(b"value").decode()}}
    assert body["pullSecrets"] == [json.loads(login)]
    claims = body["tokens"]["who/token"].split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert told["aud"] == ["them"]
    assert told["kubernetes.io"]["pod"]["uid"] == pod["metadata"]["uid"]
    assert body["serviceEnv"]["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert body["resolv"]["nameservers"] == ["10.96.0.10"]
    assert body["hostIP"] == "10.20.1.11"
    world.delete(pod)


def test_a_changed_label_reaches_the_agent_at_once(world):
    pod = world.pod()
    world.wait_running(pod)
    world.api.patch("Pod", pod["metadata"]["name"], {"metadata": {"labels": {"colour": "blue"}}}, "default")

    def known() -> dict:
        # The API server may add labels of its own, such as the node's zone.
        return world.body(pod)["pod"]["metadata"].get("labels") or {}

    world.until(lambda: known().get("colour") == "blue", "the agent does not know")
    world.delete(pod)


def test_what_is_missing_is_said_and_awaited(world):
    pod = world.pod(volumes=[{"name": "late", "configMap": {"name": "late"}}])
    world.wait_event(pod, "FailedMount", 'configmap "late" not found')
    assert world.status(pod)["phase"] == "Pending"
    world.api.create(config_map("late", a="b"))

    world.wait_running(pod)
    assert world.body(pod)["configMaps"] == {"late": {"a": "b"}}
    world.delete(pod)
