"""How far a pod has come on its way to a running container, and who says what is in its way."""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.protocol import PodRef
from kip_conformance.infra.workloads.conditions import is_running as runs

__all__ = ["Arrival", "arrival_of", "is_not_running", "is_pulled", "is_refused", "is_running", "is_warned_of"]

_REFUSALS = ("ErrImagePull", "ImagePullBackOff")


@dataclass(frozen=True, slots=True)
class Arrival:
    """`address` is the podIP, empty when there is none. `reason` and `message` are those of the first container that
    waits. `pulled` are the events about images that were fetched, `warnings` those of type Warning, oldest first.
    """

    phase: str
    address: str
    is_running: bool
    reason: str
    message: str
    pulled: tuple[str, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        waits = f"{self.reason}: {self.message}" if self.reason else ""
        return "; ".join(filter(None, (self.phase, waits, *self.warnings[-2:])))


def arrival_of(api: KubeApi, pod: PodRef) -> Arrival:
    """As it is now. Raises HarnessError when there is no such pod any more."""
    found = api.find("Pod", pod.name, pod.namespace)
    if found is None or found["metadata"]["uid"] != pod.uid:
        raise HarnessError(f"pod {pod.namespace}/{pod.name} was deleted by someone else")
    status = found.get("status", {})
    waiting = [each["state"]["waiting"] for each in status.get("containerStatuses") or () if "waiting" in each["state"]]
    events = sorted(
        (event for event in api.list("Event", pod.namespace) if event.get("involvedObject", {}).get("uid") == pod.uid),
        key=lambda event: str(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")),
    )
    return Arrival(
        phase=str(status.get("phase", "Pending")),
        address=str(status.get("podIP", "")),
        is_running=status.get("phase") == "Running" and runs(found),
        reason=str(waiting[0].get("reason", "")) if waiting else "",
        message=str(waiting[0].get("message", "")) if waiting else "",
        pulled=tuple(
            str(event.get("message", ""))
            for event in events
            if event.get("reason") == "Pulled" and "Successfully pulled" in str(event.get("message"))
        ),
        warnings=tuple(str(event.get("message", "")) for event in events if event.get("type") == "Warning"),
    )


def is_running(arrival: Arrival) -> bool:
    """Every container runs, and the pod has an address."""
    return arrival.is_running


def is_not_running(arrival: Arrival) -> bool:
    """Some container does not run, or the pod has no address."""
    return not arrival.is_running


def is_pulled(arrival: Arrival) -> bool:
    """It runs, and an event says that an image was fetched for it: none was there already."""
    return arrival.is_running and bool(arrival.pulled)


def is_refused(arrival: Arrival) -> bool:
    """A container waits because its image could not be pulled."""
    return arrival.reason in _REFUSALS


def is_warned_of(arrival: Arrival) -> bool:
    """A user who looks at the pod is told by an event that something is wrong."""
    return bool(arrival.warnings)
