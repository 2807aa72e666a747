"""Pods become instances with two addresses, and instances go with their pods."""

from __future__ import annotations


def test_a_pod_becomes_an_instance_with_two_addresses(world):
    pod = world.pod()
    (status,) = world.wait_running(pod)
    (instance,) = world.instances(pod)

    (nic,) = instance["NetworkInterfaces"]
    primary, secondary = (one["PrivateIpAddress"] for one in nic["PrivateIpAddresses"])
    assert instance["PrivateIpAddress"] == primary
    assert status["podIP"] == secondary
    assert status["podIPs"] == [{"ip": secondary}]
    assert status["hostIP"] == "10.20.1.11"
    world.delete(pod)
