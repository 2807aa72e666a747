"""From creation to deletion: what becomes of pods when cells, agents, the cloud or the provider fail meanwhile."""

from __future__ import annotations

import time

import pytest


@pytest.fixture
def faults(world):
    """Errors of the cloud's API on purpose; none afterwards."""
    from kip_conformance.infra.cloud.client import CloudClient

    client = CloudClient(world.url)
    yield lambda *wanted: client.set_faults(list(wanted))
    client.set_faults([])


def test_deleting_leaves_nothing(world):
    pod = world.pod()
    world.wait_running(pod)
    (instance,) = world.instances(pod)
    world.delete(pod)

    world.until(lambda: world.instances(pod, "terminated"), "the instance is not terminated")
    nics = world.ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    )["NetworkInterfaces"]
    assert nics == []


def test_twenty_at_once_run_within_twenty_seconds(world):
    began = time.monotonic()
    pods = [world.pod() for _ in range(20)]
    statuses = world.wait_running(*pods, within=60)
    took = time.monotonic() - began
    print(f"20 cells at once: {took:.1f} s")

    assert len({status["podIP"] for status in statuses}) == 20
    assert all(len(world.instances(pod)) == 1 for pod in pods)
    world.delete(*pods)
    assert took < 40  # the figure itself is measured on a quiet machine


def test_a_finished_pod_keeps_its_status_and_log_and_loses_its_cell(world):
    pod = world.pod(annotations={"double/phase": "Succeeded"}, restartPolicy="Never")
    world.until(lambda: world.status(pod).get("phase") == "Succeeded", "it does not succeed")
    world.until(lambda: not world.instances(pod), "its instance is left")

    log = world.api.request("GET", f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/log")
    assert log.startswith(b"log of main")
    assert world.status(pod)["phase"] == "Succeeded"
    world.delete(pod)


def test_a_cell_that_is_terminated_by_hand_is_replaced_by_one_with_another_address(world):
    pod = world.pod()
    (before,) = world.wait_running(pod)
    (instance,) = world.instances(pod)
    world.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])

    def replaced() -> bool:
        now = world.status(pod)
        return now.get("phase") == "Running" and now.get("podIP") not in (None, before["podIP"])

    world.until(replaced, "it is not replaced")
    (status,) = world.wait_running(pod)
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["containerStatuses"][0]["restartCount"] == 1
    assert len(world.instances(pod)) == 1
    world.wait_event(pod, "CellLost")
    world.delete(pod)


def test_a_cell_whose_agent_is_silent_is_replaced_and_one_of_a_pod_that_never_restarts_fails(world):
    patient = {"pod.elotl.co/healthcheck-healthy-timeout": "3"}
    again = world.pod(annotations=patient)
    never = world.pod(annotations=patient, restartPolicy="Never")
    before = world.wait_running(again, never)
    for pod in (again, never):
        (instance,) = world.instances(pod)
        done = world.control.run(["pkill", "-STOP", "-f", "var/lib/cell/itzo"], machine=instance["InstanceId"])
        assert done.returncode == 0

    world.until(lambda: world.status(never).get("phase") == "Failed", "it has not failed")
    assert world.status(never)["reason"] == "CellLost"
    world.until(lambda: world.status(again).get("podIP") not in (None, before[0]["podIP"]), "it is not replaced")
    world.until(lambda: not world.instances(never), "an instance is left")
    world.delete(again, never)


def test_what_the_cloud_has_too_little_of_is_said_and_tried_again(world, faults):
    faults({"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 2})
    pod = world.pod()
    world.wait_event(pod, "FailedCreateCell", "InsufficientInstanceCapacity")
    world.wait_running(pod)

    assert len(world.instances(pod)) == 1
    world.delete(pod)


def test_throttled_calls_cost_time_and_nothing_else(world, faults):
    faults({"action": "*", "code": "RequestLimitExceeded", "rate": 0.25})
    pods = [world.pod() for _ in range(4)]
    world.wait_running(*pods, within=90)
    for pod in pods:
        world.api.delete("Pod", pod["metadata"]["name"], "default")
    world.until(lambda: not any(world.get(pod) for pod in pods), "a pod is left", within=90)
    faults()
    assert [len(world.instances(pod)) for pod in pods] == [0] * 4


def test_a_pod_that_is_removed_by_force_leaves_no_instance(world):
    pod = world.pod()
    world.wait_running(pod)
    world.api.delete("Pod", pod["metadata"]["name"], "default", grace=0)

    world.until(lambda: not world.instances(pod), "an instance is left")


def test_a_restart_replaces_nothing_and_what_was_deleted_meanwhile_goes(world):
    stays, goes = world.pod(), world.pod()
    before = world.wait_running(stays, goes)
    world.kill_provider()
    world.api.delete("Pod", goes["metadata"]["name"], "default")
    world.start_provider()

    world.until(lambda: world.get(goes) is None, "it is still there")
    assert not world.instances(goes)
    assert world.status(stays)["podIP"] == before[0]["podIP"]
    assert world.status(stays)["containerStatuses"] == before[0]["containerStatuses"]
    world.delete(stays)


def test_an_instance_of_no_pod_is_ended_after_two_looks(world):
    controller = world.controller()
    tags = [{"Key": "KipControllerID", "Value": controller}, {"Key": "KipPodUID", "Value": "nobody"}]
    launched = world.ec2.run_instances(
        ImageId="ami-0d00000000000debd",
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=world.vpc.subnets["public-a"],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    (orphan,) = [one["InstanceId"] for one in launched["Instances"]]

    def state() -> str:
        found = world.ec2.describe_instances(InstanceIds=[orphan])["Reservations"][0]["Instances"]
        return str(found[0]["State"]["Name"])

    world.until(lambda: state() == "terminated", "the orphan lives")
