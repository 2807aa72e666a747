"""node-b's CNI hands a new pod the address that a pod of node-a already has, as a broken IPAM would."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.rows import THROUGH_CLUSTER_DNS, THROUGH_CLUSTER_IPS
from kip_conformance.infra.faults.tampering import place, pod_range
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.node import NodeFiles
from kip_conformance.infra.lab.plan import NODES, PLAN
from kip_conformance.infra.lab.residents import NAMESPACE, prober_pod
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.plan import PlannedPlace

_NAME = "duplicate"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    api = KubeApi(Path(lab.description.kubeconfig))
    address = place(lab, "node-a").address
    node = next(node for node in NODES if node.name == "node-b")
    conflist = next(NodeFiles(lab.control.folder, node, PLAN).cni_conf.glob("*.conflist"))
    sound = conflist.read_text()
    broken = json.loads(sound)
    broken["plugins"][0]["ipam"]["ranges"] = [
        [{"subnet": pod_range("node-a"), "rangeStart": address, "rangeEnd": address}]
    ]
    conflist.write_text(json.dumps(broken))
    try:
        try:
            api.create(_pod(api, lab))
            eventually(lambda: _address(api), lambda seen: seen == address, within=20)
        finally:
            conflist.write_text(sound)  # at once: the rows start pods of their own, each with an address of its own
        yield
    finally:
        api.delete("Pod", _NAME, NAMESPACE, grace=0)
        eventually(lambda: api.find("Pod", _NAME, NAMESPACE), lambda pod: pod is None, within=20)


def _pod(api: KubeApi, lab: LabCluster) -> dict[str, Any]:
    image = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/node-b")["spec"]["containers"][0]["image"]
    pod = prober_pod(PlannedPlace(_NAME, "pod", "node-b"), lab.description.run_id, image.partition("@")[2])
    # No endpoint of anything: the defect is the address, not another backend.
    pod["metadata"]["labels"] = {"kip-conformance/run": lab.description.run_id}
    return pod


def _address(api: KubeApi) -> str | None:
    found = api.find("Pod", _NAME, NAMESPACE) or {}
    address: str | None = found.get("status", {}).get("podIP")
    return address


_SAME_ADDRESS = "from node-b, the address of place node-a leads to the duplicate"
_ROWS_WITH_NODE_A = (
    *(
        "IDN-04",
        "P2P-02",
        "P2P-03",
        "N2P-02",
        "N2P-03",
        "N2P-10",
        "SVC-01",
        "EPT-01",
        "EPT-02",
        "AFF-01",
        "CTK-01",
        "CTK-03",
    ),
    *("NPT-01", "NPT-02", "NPT-03", "NPT-05", "IDN-05", "IDN-06", "IDN-08", "IDN-10"),
    *("NOD-02", "P2P-06", "P2P-07", "MTU-01", "MTU-02"),
    *THROUGH_CLUSTER_DNS,  # which may run on node-b
)
FAULT = Fault(
    name="two-pods-one-address",
    sentence="a pod on node-b gets the address of a pod on node-a",
    plant=_plant,
    kills=("IDN-01", "CNI-01"),
    may_redden=dict.fromkeys((*_ROWS_WITH_NODE_A, *THROUGH_CLUSTER_IPS, "SVC-02"), _SAME_ADDRESS),
)
