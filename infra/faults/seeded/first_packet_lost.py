"""Both nodes lose the first packet of every new pod, as while a flow is being set up for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table, pod_range
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    pods = KubeApi(Path(lab.description.kubeconfig)).list("Pod")
    old = ", ".join(sorted({pod["status"]["podIP"] for pod in pods if pod.get("status", {}).get("podIP")}))
    with contextlib.ExitStack() as planted:
        for node in NODES:
            chains = (
                f"set known {{ type ipv4_addr; size 65536; flags dynamic; elements = {{ {old} }} }}\n"
                "chain forward { type filter hook forward priority filter - 5; policy accept;"
                f" ip saddr {pod_range(node.name)} ip saddr != @known add @known {{ ip saddr }} drop; }}"
            )
            planted.enter_context(nft_table(lab.machines[node.name], chains))
        yield


FAULT = Fault(
    name="first-packet-lost",
    sentence="the first packet that a new pod sends is lost",
    plant=_plant,
    kills=("NOD-02",),
)
