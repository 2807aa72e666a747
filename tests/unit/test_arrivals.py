"""How far a pod has come, by its status and its events."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import PodRef
from kip_conformance.infra.workloads.arrivals import arrival_of, is_not_running, is_pulled, is_refused, is_warned_of

POD = PodRef("ns", "one", "uid")


class Api:
    def __init__(self, status, *events, uid="uid"):
        self.pod = {"metadata": {"uid": uid}, "status": status}
        self.events = events

    def find(self, kind, name, namespace):
        return self.pod

    def list(self, kind, namespace):
        return list(self.events)


def event(reason, message, kind="Normal", *, uid="uid", at="2026-01-01T00:00:00Z"):
    return {
        "metadata": {}, "involvedObject": {"uid": uid}, "reason": reason, "message": message, "type": kind,
        "lastTimestamp": at,
    }  # fmt: skip


def waiting(reason, message=""):
    return {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}


RUNS = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"state": {"running": {}}}]}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_a_pull_that_failed_is_told_by_the_waiting_container(reason):
    seen = arrival_of(Api(waiting(reason, "no such host")), POD)

    assert is_refused(seen)
    assert is_not_running(seen)
    assert str(seen) == f"Pending; {reason}: no such host"


def test_a_container_that_is_created_is_not_refused():
    assert not is_refused(arrival_of(Api(waiting("ContainerCreating")), POD))
    assert not is_refused(arrival_of(Api({}), POD))


def test_an_image_that_was_there_already_was_not_pulled():
    there = event("Pulled", 'Container image "a" already present on machine')
    pulled = event("Pulled", 'Successfully pulled image "a" in 1s')

    assert not is_pulled(arrival_of(Api(RUNS, there), POD))
    assert is_pulled(arrival_of(Api(RUNS, there, pulled), POD))
    assert not is_pulled(arrival_of(Api(waiting("ContainerCreating"), pulled), POD))
    assert arrival_of(Api(RUNS), POD).address == "10.0.0.1"


def test_warnings_are_those_about_this_very_pod_oldest_first():
    later = event("CellNotUp", "later", "Warning", at="2026-01-01T00:00:09Z")
    seen = arrival_of(
        Api(waiting(""), later, event("CellNotUp", "early", "Warning"), event("x", "of its twin", "Warning", uid="y")),
        POD,
    )
    assert seen.warnings == ("early", "later")
    assert is_warned_of(seen)
    assert not is_warned_of(arrival_of(Api(RUNS, event("Pulled", "fine")), POD))


def test_a_pod_that_somebody_replaced_is_an_error_of_the_harness():
    with pytest.raises(HarnessError, match="pod ns/one was deleted by someone else"):
        arrival_of(Api(RUNS, uid="another"), POD)
