"""The resolver settings of one pod lost the first two domains of their search path, as a wrong kubelet writes them."""

from __future__ import annotations

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, rewritten_file
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    domain = lab.description.details.get("domain", "cluster.local")
    return rewritten_file(lab, place(lab, "node-a"), "/etc/resolv.conf", f"sed 's/^search .*/search {domain}/'")


FAULT = Fault(
    name="dns-search-path-broken",
    sentence="the search path of node-a has the cluster's domain alone",
    plant=_plant,
    kills=("DNS-01", "DNS-06"),
    may_redden=dict.fromkeys(("DNS-02", "DNS-05", "SVC-16"), "node-a asks for partial names"),
)
