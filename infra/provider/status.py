"""A pod's status as users of a kubelet know it: what the agent says, and what only the provider can say.

Source: "Kubernetes documentation, Pod Lifecycle"; status is patched strategically, so that conditions which others own
(PodScheduled, readiness gates) stay theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.provider.events import now
from kip_conformance.infra.provider.kube_client import Object

__all__ = ["differs", "failed", "from_agent", "is_over", "patch_of", "runs", "waiting"]

Status = dict[str, Any]

_READY = ("Ready", "ContainersReady")
_LISTS = ("initContainerStatuses", "containerStatuses")


def is_over(status: Mapping[str, Any]) -> bool:
    """Whether the pod has ended for good."""
    return status.get("phase") in ("Succeeded", "Failed")


def runs(status: Mapping[str, Any]) -> bool:
    """Whether a container of the pod runs, by what its agent says."""
    return any(one.get("state", {}).get("running") is not None for name in _LISTS for one in status.get(name) or [])


def waiting(pod: Object, host_ip: str, reason: str, message: str = "") -> Status:
    """Before its cell answers: everything waits for `reason`. Restart counts stay what they were."""
    spec, known = pod["spec"], pod.get("status") or {}
    restarts = {
        one["name"]: one.get("restartCount", 0) + (1 if one.get("state", {}).get("running") is not None else 0)
        for name in _LISTS
        for one in known.get(name) or []
    }
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    inits = spec.get("initContainers") or []
    names = [container["name"] for container in spec["containers"]]
    initialized = (
        _condition("Initialized", "False", "ContainersNotInitialized", _incomplete([one["name"] for one in inits]))
        if inits
        else _condition("Initialized", "True")
    )
    unready = f"containers with unready status: [{' '.join(names)}]"
    status: Status = {
        "phase": "Pending",
        "reason": None,
        "message": None,
        **_host(host_ip),
        "podIP": None,
        "podIPs": None,
        "startTime": known.get("startTime") or now(),
        "conditions": [
            _condition("PodReadyToStartContainers", "False"),
            initialized,
            _condition("Ready", "False", "ContainersNotReady", unready),
            _condition("ContainersReady", "False", "ContainersNotReady", unready),
        ],
        "containerStatuses": [_container(one, state, restarts) for one in spec["containers"]],
    }
    if inits:
        waits = {"waiting": {"reason": "PodInitializing"}}
        status["containerStatuses"] = [_container(one, waits, restarts) for one in spec["containers"]]
        status["initContainerStatuses"] = [_container(one, state, restarts) for one in inits]
    return status


def failed(pod: Object, host_ip: str, reason: str, message: str) -> Status:
    """The pod has failed without a cell, or with it."""
    known = pod.get("status") or {}
    unready = ("False", "PodFailed")
    return {
        "phase": "Failed",
        "reason": reason,
        "message": message,
        **_host(host_ip),
        "startTime": known.get("startTime") or now(),
        "conditions": [_condition("Ready", *unready), _condition("ContainersReady", *unready)],
    }


def from_agent(pod: Object, told: Mapping[str, Any], host_ip: str, restarts: Mapping[str, int]) -> Status:
    """The agent's status completed: hostIP, readiness gates, and restarts of containers on earlier cells."""
    status = {**told, **_host(host_ip)}
    for name in ("reason", "message", "podIP", "podIPs"):
        status.setdefault(name, None)
    for name in _LISTS:
        if status.get(name):
            status[name] = [
                {**one, "restartCount": one.get("restartCount", 0) + restarts.get(one["name"], 0)}
                for one in status[name]
            ]
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    if (gate := _closed_gate(pod)) and conditions.get("Ready", {}).get("status") == "True":
        message = f'corresponding condition of pod readiness gate "{gate}" does not exist or is not "True"'
        conditions["Ready"] = _condition("Ready", "False", "ReadinessGatesNotReady", message)
    status["conditions"] = list(conditions.values())
    return status


def patch_of(status: Status, pod: Object) -> dict[str, Any]:
    """The strategic merge patch that makes the pod's status so; it fits this very pod only (its uid)."""
    known = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or []}
    made = dict(status)
    made["conditions"] = [_moved(one, known.get(one["type"])) for one in status.get("conditions") or []]
    for name in ("podIPs", "hostIPs"):
        if name in made:  # these lists merge by address: the old ones would stay
            made[name] = [{"$patch": "replace"}, *(made[name] or [])]
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": made}


def differs(status: Status, pod: Object) -> bool:
    """Whether the API server does not have this status yet."""
    known = pod.get("status") or {}
    for name, value in status.items():
        if name == "conditions":
            if not _same_conditions(value, known.get(name) or []):
                return True
        elif (value or None) != (known.get(name) or None):
            return True
    return False


def _same_conditions(wanted: list[dict[str, Any]], known: list[dict[str, Any]]) -> bool:
    have = {one["type"]: one for one in known}
    keys = ("status", "reason", "message")
    return all(
        [one.get(key) or None for key in keys] == [have.get(one["type"], {}).get(key) or None for key in keys]
        for one in wanted
    )


def _moved(condition: dict[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """With the time of the last change: that of the known one while its status is the same."""
    made = {**condition, "reason": condition.get("reason"), "message": condition.get("message")}
    if known is not None and known.get("status") == condition["status"] and known.get("lastTransitionTime"):
        made["lastTransitionTime"] = known["lastTransitionTime"]
    else:
        made.setdefault("lastTransitionTime", now())
    return made


def _closed_gate(pod: Object) -> str:
    """The first readiness gate whose condition is not True."""
    conditions = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or []}
    for gate in pod["spec"].get("readinessGates") or []:
        if conditions.get(gate["conditionType"]) != "True":
            return str(gate["conditionType"])
    return ""


def _host(address: str) -> Status:
    return {"hostIP": address, "hostIPs": [{"ip": address}]}


def _container(container: Mapping[str, Any], state: Mapping[str, Any], restarts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": restarts.get(container["name"], 0),
        "state": dict(state),
    }


def _incomplete(names: list[str]) -> str:
    return f"containers with incomplete status: [{' '.join(names)}]"


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    made = {"type": kind, "status": status}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made
