"""A pod and what is known of it: values for the tests of what a cell makes of them."""

from __future__ import annotations

import base64
from typing import Any

from kip_conformance.infra.cell.environment import PodFacts


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    made = [{"name": f"c{number}", "image": "prober", **one} for number, one in enumerate(containers or ({},))]
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"app": "x", "tier": "a\nb"}},
        "spec": {"containers": made, **spec},
    }


def facts(wanted: dict[str, Any] | None = None, **changes: Any) -> PodFacts:
    given: dict[str, Any] = {
        "pod": wanted or pod(),
        "host_ip": "10.0.0.5",
        "pod_ip": "10.0.0.9",
        "node_name": "kip-node",
        "config_maps": {"conf": {"key": "value", "other": "1"}},
        "secrets": {"hush": {"word": base64.b64encode(b"secret").decode()}},
        "memory": 1 << 30,
        "cores": 2.0,
    }
    return PodFacts(**{**given, **changes})
