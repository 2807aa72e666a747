"""Pods whose readiness a row can flip: the probe that drives it looks at a port where the prober can fall silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.workloads.conditions import is_ready
from kip_conformance.infra.workloads.pods import PodPlan

__all__ = ["PROBED_PORT", "Readiness", "every_pod_ready", "no_pod_ready", "probed_by", "probed_on_each_machine"]

PROBED_PORT = 8081
"""The port that the probe looks at. Services of such pods use the other one, which always answers."""

ProbeKind = Literal["tcp", "http"]

_LOOKS: Mapping[ProbeKind, Mapping[str, Any]] = {
    "tcp": {"tcpSocket": {"port": PROBED_PORT}},
    "http": {"httpGet": {"path": "/ready", "port": PROBED_PORT}},
}


def probed_by(kind: ProbeKind) -> dict[str, Any]:
    """What a container needs so that a readiness probe of this kind looks at it, once a second."""
    # Silence is refused at once; the long timeout is for machines so busy that an answer is late.
    return {"readinessProbe": {**_LOOKS[kind], "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}}


def probed_on_each_machine(places: Sequence[Place], kind: ProbeKind) -> tuple[PodPlan, ...]:
    """A pod with such a probe for every machine that one of these places is on."""
    machines = dict.fromkeys(place.machine for place in places)
    return tuple(PodPlan(f"probed-by-{kind}-on-{each}", each, container=probed_by(kind)) for each in machines)


def every_pod_ready(seen: Mapping[str, bool]) -> bool:
    return all(seen.values())


def no_pod_ready(seen: Mapping[str, bool]) -> bool:
    return not any(seen.values())


class Readiness:
    """Lets probes succeed or fail, and reads what the API makes of it."""

    def __init__(self, kubeconfig: Path, driver: Driver) -> None:
        self._api, self._driver = KubeApi(kubeconfig), driver

    def of(self, places: Sequence[Place]) -> dict[str, bool]:
        """Whether the condition Ready of each pod is True. Raises HarnessError when a pod is not there."""
        return {place.name: is_ready(self._pod(place)) for place in places}

    def set(self, places: Sequence[Place], *, is_ready: bool) -> None:
        """From now on the probes of these pods succeed, or fail."""
        for place in places:
            self._driver.set_listener(place, "tcp", PROBED_PORT, is_open=is_ready)

    def set_http(self, places: Sequence[Place], *, is_ready: bool) -> None:
        """From now on HTTP probes of these pods draw 200, or 503. TCP probes succeed all the same."""
        for place in places:
            self._driver.set_http_status(place, 200 if is_ready else 503)

    def _pod(self, place: Place) -> dict[str, Any]:
        pod = None if place.pod is None else self._api.find("Pod", place.pod.name, place.pod.namespace)
        if pod is None:
            raise HarnessError(f"place {place.name} has no pod whose readiness could be read")
        return pod
