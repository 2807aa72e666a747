"""Images that cells pull: by which way, with which credentials, and what is said when it fails."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.workloads.arrivals import is_pulled, is_refused
from kip_conformance.infra.workloads.pods import PodPlan

_ABOUT_CREDENTIALS = re.compile(r"authenti|authoriz|denied|credential|no token|\b40[13]\b", re.IGNORECASE)
_PROFILE = "pod.elotl.co/instance-profile"


def _plan(name, place, image, *, annotations=None, secret=""):
    """A pod of one container whose image has to be pulled."""
    container = {"image": image, "imagePullPolicy": "Always", "args": [], "ports": []}
    spec = {"imagePullSecrets": [{"name": secret}]} if secret else {}
    return PodPlan(name, place.machine, container=container, spec=spec, annotations=annotations or {})


@pytest.mark.requirement("IMG-01")
def test_a_cell_in_a_public_subnet_pulls_an_image(public_pods, public_image, own_pods, arrival, budgets):
    """A pod in a public subnet runs an image that its cell has pulled from the internet."""
    pod = own_pods.propose(_plan("pulled", public_pods[0], public_image))
    eventually(lambda: arrival(pod), is_pulled, within=budgets.start)


@pytest.mark.requirement("IMG-02")
def test_endpoints_are_all_that_a_private_cell_needs(
    cells, private_pods, no_way_out, ways_out, private_image, own_pods, arrival, budgets
):
    """Without any gateway a cell pulls from the region's registry by endpoints, and not while their group is shut."""
    place = private_pods[0]
    annotations = {_PROFILE: private_image.profile}
    with no_way_out(place):
        with ways_out.closed_endpoints(cells.at(place.address).subnet, "ecr"):
            pod = own_pods.propose(_plan("by-endpoints", place, private_image.name, annotations=annotations))
            eventually(lambda: arrival(pod), is_refused, within=budgets.start)
        eventually(lambda: arrival(pod), is_pulled, within=budgets.start)


@pytest.mark.requirement("IMG-03")
def test_without_a_way_to_the_registry_the_pull_fails(
    private_pods, public_image, no_way_out, own_pods, arrival, budgets
):
    """A cell that cannot reach the registry says that the pull failed, and its pod starts once there is a way."""
    with no_way_out(private_pods[0]):
        pod = own_pods.propose(_plan("no-way", private_pods[0], public_image))
        eventually(lambda: arrival(pod), is_refused, within=budgets.start)
    eventually(lambda: arrival(pod), is_pulled, within=budgets.start)


@pytest.mark.requirement("IMG-04")
def test_pull_secrets_open_a_repository(public_pods, private_image, own_pods, objects, namespace, arrival, budgets):
    """With the right pull secret an image is pulled; with a wrong one, or none, the message is about credentials."""
    objects.create(private_image.secret("right", namespace))
    objects.create(replace(private_image, password="nonsense").secret("wrong", namespace))
    plans = {
        secret: _plan(f"with-{secret or 'none'}", public_pods[0], private_image.name, secret=secret)
        for secret in ("right", "wrong", "")
    }
    right, *others = [own_pods.propose(plan) for plan in plans.values()]
    eventually(lambda: arrival(right), is_pulled, within=budgets.start)
    for pod in others:
        seen = eventually(lambda pod=pod: arrival(pod), is_refused, within=budgets.start)
        said = seen.message.replace(private_image.name, "")
        assert _ABOUT_CREDENTIALS.search(said), f"{pod.name}: nothing about credentials: {seen.message}"


@pytest.mark.requirement("IMG-08")
def test_a_registry_that_is_not_reached_is_named(public_pods, outside, own_pods, arrival, budgets):
    """A pull that fails for want of a way to the registry names the host, beside the image's own name."""
    host = f"{outside.name}:9"
    image = f"{host}/nobody/made:1"
    pod = own_pods.propose(_plan("unreached", public_pods[0], image))
    seen = eventually(lambda: arrival(pod), is_refused, within=budgets.start)
    assert host in seen.message.replace(image, ""), f"the host {host} is not named: {seen.message}"
