"""What became of a pod that may not be granted what it asks for: whether it runs, and who says that it does not."""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.protocol import PodRef
from kip_conformance.infra.workloads.conditions import last_condition

__all__ = ["Claim", "claim_of"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A pod's phase, why it does not run, and the messages of the warnings about it."""

    phase: str
    reason: str
    is_unschedulable: bool
    warnings: tuple[str, ...]

    @property
    def is_refused(self) -> bool:
        """Whether it was not granted, and a user who looks at the pod is told: it failed, waits, or has a warning."""
        return self.phase == "Failed" or self.is_unschedulable or bool(self.warnings)

    def __str__(self) -> str:
        return f"{self.phase}, {'; '.join(filter(None, (self.reason, *self.warnings))) or 'no event says anything'}"


def claim_of(api: KubeApi, pod: PodRef) -> Claim:
    """The pod's claim as it is now. Raises HarnessError when there is no such pod any more."""
    found = api.find("Pod", pod.name, pod.namespace)
    if found is None or found["metadata"]["uid"] != pod.uid:
        raise HarnessError(f"pod {pod.namespace}/{pod.name} was deleted by someone else")
    status = found.get("status", {})
    unscheduled = any(
        each["type"] == "PodScheduled" and each["status"] == "False" for each in status.get("conditions") or ()
    )
    warnings = dict.fromkeys(
        str(event.get("message", ""))
        for event in api.list("Event", pod.namespace)
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("uid") == pod.uid
    )
    phase = str(status.get("phase", "Pending"))
    reason = "" if phase == "Running" else str(status.get("message") or last_condition(found))
    return Claim(phase, reason, unscheduled, tuple(warnings))
