"""Which interface of its machine a pod hangs on, and whether pod and machine agree about each other."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.findings.scene import Scene
from kip_conformance.infra.targets.protocol import Place

__all__ = ["host_interface", "mac_of"]

# The other end of the link of each interface with an address of its own, by index.
_SCRIPT = "import glob; print([open(path).read().strip() for path in glob.glob('/sys/class/net/e*/iflink')][0])"


def host_interface(scene: Scene, place: Place, views: Sequence[View]) -> str | None:
    """The machine's end of a pod's link; empty when it cannot be told, None for a place without one of its own.

    The pod is asked over exec, which does not need the network that is in doubt.
    """
    if place.kind != "pod" or place.pod is None:
        return None
    view = next((view for view in views if view.key == place.machine), None)
    if view is None:
        return ""
    try:
        done = scene.driver.execute(place.pod, ["/usr/bin/python3", "-c", _SCRIPT], timeout=scene.deadline.share())
        return view.after.names.get(int(done.stdout.decode().strip()), "")
    except (HarnessError, ValueError):
        return ""


def mac_of(scene: Scene, place: Place) -> str:
    """The MAC of the interface with the place's address, as the place itself sees it; empty when it cannot be asked."""
    try:
        interfaces = scene.driver.addresses(place)
    except HarnessError:
        return ""
    for interface in interfaces:
        if place.address in {str(ip_interface(address).ip) for address in interface.addresses}:
            return interface.mac
    return ""
