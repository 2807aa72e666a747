"""The loopback interface of a pod, and what containers of one pod share."""

from __future__ import annotations

import pytest


@pytest.mark.requirement("NOD-04")
def test_the_loopback_interface_is_up_in_every_pod(probe, pods):
    """In every pod the interface lo is up and carries 127.0.0.1."""
    loopbacks = {pod.name: [each for each in probe.interfaces(pod) if each.name == "lo"] for pod in pods}
    missing = [
        f"{name}: {', '.join(map(str, found)) or 'no interface lo'}"
        for name, found in loopbacks.items()
        if not any(each.is_up and "127.0.0.1/8" in each.addresses for each in found)
    ]
    assert not missing, f"loopback is not up with 127.0.0.1/8: {'; '.join(missing)}"
