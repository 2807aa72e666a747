"""A pod's status out of its containers' states, as kubelet computes it (Kubernetes documentation, Pod Lifecycle)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ContainerState", "conditions", "container_status", "is_sidecar", "phase_of"]

_CREATING = {"waiting": {"reason": "ContainerCreating"}}
_INITIALIZING = {"waiting": {"reason": "PodInitializing"}}


def is_sidecar(spec: Mapping[str, Any]) -> bool:
    """An init container that goes on while the others run."""
    return spec.get("restartPolicy") == "Always"


@dataclass(slots=True)
class ContainerState:
    """One container over all its runs. `state` and `last` are ContainerState values of the API."""

    attempt: int = 0
    state: dict[str, Any] = field(default_factory=lambda: dict(_CREATING))
    last: dict[str, Any] = field(default_factory=dict)
    image_id: str = ""
    is_ready: bool = False
    is_started: bool = False
    wait: float = 0.0
    """Seconds of the restart back-off."""

    @property
    def kind(self) -> str:
        """`waiting`, `running` or `terminated`."""
        return next(iter(self.state))

    @property
    def exit_code(self) -> int | None:
        """Of the last run that ended."""
        found = self.state.get("terminated") or self.last.get("terminated")
        return None if found is None else int(found["exitCode"])


def container_status(spec: Mapping[str, Any], known: ContainerState, uid: str, *, is_init: bool) -> dict[str, Any]:
    """A ContainerStatus of the API."""
    run = known.state if known.kind != "waiting" else known.last
    identity = f"cell://{uid}/{spec['name']}/{known.attempt}" if run else ""
    is_done = is_init and known.kind == "terminated" and known.exit_code == 0
    return {
        "name": spec["name"],
        "image": spec.get("image", ""),
        "imageID": known.image_id,
        "restartCount": known.attempt,
        "ready": known.is_ready or is_done,
        "started": known.is_started,
        "state": known.state,
        "lastState": known.last,
        **({"containerID": identity} if identity else {}),
    }


def phase_of(  # noqa: PLR0911  the phases' conditions, in their order
    spec: Mapping[str, Any], known: Mapping[str, ContainerState], *, is_stopping: bool = False
) -> str:
    """Pending, Running, Succeeded or Failed."""
    policy = spec.get("restartPolicy", "Always")
    inits = [(one, known[one["name"]]) for one in spec.get("initContainers") or ()]
    failed_init = any(
        not is_sidecar(one) and state.kind == "terminated" and state.exit_code != 0 for one, state in inits
    )
    if failed_init and policy == "Never":
        return "Failed"
    if not all(_is_initialized(one, state) for one, state in inits) and not is_stopping:
        return "Pending"
    states = [known[one["name"]] for one in spec["containers"]]
    if any(one.kind == "waiting" and not one.last for one in states):
        return "Failed" if is_stopping and not any(one.kind == "running" for one in states) else "Pending"
    sidecars = [state for one, state in inits if is_sidecar(one)]
    if any(one.kind == "running" for one in (*states, *sidecars)):
        return "Running"
    if not is_stopping and (policy == "Always" or any(one.kind == "waiting" for one in states)):
        return "Running"
    if all(one.kind == "terminated" and one.exit_code == 0 for one in states):
        return "Succeeded"
    if is_stopping or policy == "Never":
        return "Failed"
    return "Running"


def _is_initialized(spec: Mapping[str, Any], state: ContainerState) -> bool:
    if is_sidecar(spec):
        return state.is_started or bool(state.last) or state.kind == "terminated"
    return state.kind == "terminated" and state.exit_code == 0


def conditions(
    pod: Mapping[str, Any],
    known: Mapping[str, ContainerState],
    before: Sequence[Mapping[str, Any]],
    now: str,
    *,
    has_sandbox: bool,
) -> list[dict[str, Any]]:
    """The pod's conditions but PodScheduled, which is not kubelet's. `before` has the times of what did not change."""
    spec = pod["spec"]
    inits = spec.get("initContainers") or ()
    phase = phase_of(spec, known)
    is_over = phase in ("Succeeded", "Failed")
    uninitialized = [one["name"] for one in inits if not _is_initialized(one, known[one["name"]])]
    judged = [*(one for one in inits if is_sidecar(one)), *spec["containers"]]
    unready = [one["name"] for one in judged if not known[one["name"]].is_ready]
    if phase == "Succeeded":
        found = [("Initialized", True, "PodCompleted", ""), ("Ready", False, "PodCompleted", "")]
        found.append(("ContainersReady", False, "PodCompleted", ""))
    else:
        why = f"containers with incomplete status: [{' '.join(uninitialized)}]"
        found = [("Initialized", not uninitialized, "ContainersNotInitialized", why)]
        why = f"containers with unready status: [{' '.join(unready)}]"
        reason = "PodFailed" if phase == "Failed" else "ContainersNotReady"
        is_ready = not unready and not is_over
        gate = _closed_gate(pod)
        found.append(("ContainersReady", is_ready, reason, why))
        if is_ready and gate:
            closed = f'corresponding condition of pod readiness gate "{gate}" does not exist or is not "True".'
            found.append(("Ready", False, "ReadinessGatesNotReady", closed))
        else:
            found.append(("Ready", is_ready, reason, why))
    found.insert(0, ("PodReadyToStartContainers", has_sandbox and not is_over, "", ""))
    return [_condition(*one, before=before, now=now) for one in found]


def _closed_gate(pod: Mapping[str, Any]) -> str:
    reported = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or ()}
    gates: Iterable[Mapping[str, str]] = pod["spec"].get("readinessGates") or ()
    return next((one["conditionType"] for one in gates if reported.get(one["conditionType"]) != "True"), "")


def _condition(
    kind: str, is_so: bool, reason: str, message: str, *, before: Sequence[Mapping[str, Any]], now: str
) -> dict[str, Any]:
    status = "True" if is_so else "False"
    old = next((one for one in before if one["type"] == kind and one["status"] == status), None)
    made = {"type": kind, "status": status, "lastTransitionTime": old["lastTransitionTime"] if old else now}
    if (not is_so or reason == "PodCompleted") and reason:
        made |= {"reason": reason} | ({"message": message} if message else {})
    return made
