"""Phases, conditions and container statuses out of containers' states."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.events import KEPT, Events
from kip_conformance.infra.cell.status import ContainerState, conditions, container_status, phase_of

from .some_pod import pod

WAITS = ContainerState()
RUNS = ContainerState(state={"running": {"startedAt": "t"}}, is_started=True, is_ready=True)


def ended(code: int) -> ContainerState:
    return ContainerState(state={"terminated": {"exitCode": code, "reason": "Error"}})


BACKS_OFF = ContainerState(state={"waiting": {"reason": "CrashLoopBackOff"}}, last={"terminated": {"exitCode": 1}})


@pytest.mark.parametrize(
    ("policy", "states", "phase"),
    [
        ("Always", [WAITS, RUNS], "Pending"),
        ("Always", [RUNS, RUNS], "Running"),
        ("Always", [ended(0), RUNS], "Running"),
        ("Always", [ended(0), ended(1)], "Running"),
        ("Always", [BACKS_OFF, RUNS], "Running"),
        ("Always", [BACKS_OFF, BACKS_OFF], "Running"),
        ("OnFailure", [ended(0), ended(0)], "Succeeded"),
        ("OnFailure", [ended(0), ended(1)], "Running"),
        ("OnFailure", [ended(0), BACKS_OFF], "Running"),
        ("Never", [ended(0), ended(1)], "Failed"),
        ("Never", [ended(0), ended(0)], "Succeeded"),
        ("Never", [ended(1), RUNS], "Running"),
    ],
)
def test_phases(policy, states, phase):
    spec = pod({}, {}, restartPolicy=policy)["spec"]
    assert phase_of(spec, {"c0": states[0], "c1": states[1]}) == phase


@pytest.mark.parametrize(
    ("policy", "init", "phase"),
    [
        ("Always", WAITS, "Pending"),
        ("Always", ended(1), "Pending"),
        ("Never", ended(1), "Failed"),
        ("Always", ended(0), "Running"),
    ],
)
def test_phases_with_an_init_container(policy, init, phase):
    spec = pod(restartPolicy=policy, initContainers=[{"name": "i"}])["spec"]
    assert phase_of(spec, {"c0": RUNS if init.exit_code == 0 else WAITS, "i": init}) == phase


@pytest.mark.parametrize(("side", "phase"), [(RUNS, "Running"), (ended(137), "Succeeded"), (ended(0), "Succeeded")])
def test_a_pod_is_over_when_its_sidecars_are(side, phase):
    spec = pod(restartPolicy="Never", initContainers=[{"name": "s", "restartPolicy": "Always"}])["spec"]
    assert phase_of(spec, {"c0": ended(0), "s": side}) == phase


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ([RUNS, ended(0)], "Running"),
        ([ended(0), ended(0)], "Succeeded"),
        ([WAITS, WAITS], "Failed"),
        ([ended(143), ended(0)], "Failed"),
    ],
)
def test_a_pod_that_was_stopped(states, phase):
    spec = pod({}, {})["spec"]
    assert phase_of(spec, {"c0": states[0], "c1": states[1]}, is_stopping=True) == phase


def shown(wanted, states, before=(), now="t1"):
    return {one["type"]: one for one in conditions(wanted, states, before, now, has_sandbox=True)}


def test_conditions_keep_their_times_while_nothing_changes():
    first = shown(pod(), {"c0": RUNS})
    unready = ContainerState(state=RUNS.state, is_started=True)
    second = shown(pod(), {"c0": unready}, list(first.values()), "t2")

    assert {name: one["status"] for name, one in first.items()} == dict.fromkeys(first, "True")
    assert (second["Ready"]["status"], second["Ready"]["lastTransitionTime"]) == ("False", "t2")
    assert second["Ready"]["message"] == "containers with unready status: [c0]"
    assert second["Initialized"]["lastTransitionTime"] == "t1"


def test_a_readiness_gate_holds_ready_back():
    wanted = pod(readinessGates=[{"conditionType": "x.io/open"}])
    assert shown(wanted, {"c0": RUNS})["Ready"]["reason"] == "ReadinessGatesNotReady"
    wanted["status"] = {"conditions": [{"type": "x.io/open", "status": "True"}]}
    assert shown(wanted, {"c0": RUNS})["Ready"]["status"] == "True"


def test_a_pod_that_has_succeeded_is_not_ready():
    found = shown(pod(restartPolicy="Never"), {"c0": ended(0)})
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "PodCompleted")
    assert found["Initialized"]["status"] == "True"


def test_a_container_status():
    told = container_status({"name": "c0", "image": "i"}, BACKS_OFF, "u", is_init=False)
    assert (told["ready"], told["started"], told["restartCount"]) == (False, False, 0)
    assert told["containerID"] == "cell://u/c0/0"
    assert "containerID" not in container_status({"name": "c0"}, WAITS, "u", is_init=False)
    assert container_status({"name": "i"}, ended(0), "u", is_init=True)["ready"]


def test_a_hundred_events_are_kept_and_numbers_go_on():
    events = Events()
    for number in range(KEPT + 5):
        events.add("Normal", "Pulled", f"message {number}", "spec.containers{c0}")
    kept = events.list()
    again = Events(kept)
    again.add("Warning", "Failed", "last")

    assert (len(kept), kept[0]["id"], kept[-1]["id"]) == (KEPT, 6, KEPT + 5)
    assert again.list()[-1]["id"] == KEPT + 6
