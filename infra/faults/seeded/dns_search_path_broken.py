"""The resolver settings of one pod lost the first two domains of their search path, as a wrong kubelet writes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place, run_in_pod
from kip_conformance.infra.targets.lab import LabCluster

_FILE, _ASIDE = "/etc/resolv.conf", "/run/resolv.conf.sound"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-a")
    domain = lab.description.details.get("domain", "cluster.local")
    # The file is a mount of its own: it can be written, not replaced.
    broken = f"cp {_FILE} {_ASIDE} && sed 's/^search .*/search {domain}/' {_ASIDE} > {_FILE}"
    run_in_pod(lab, victim, ["busybox", "sh", "-c", broken])
    try:
        yield
    finally:
        run_in_pod(lab, victim, ["busybox", "sh", "-c", f"cat {_ASIDE} > {_FILE} && rm {_ASIDE}"])


FAULT = Fault(
    name="dns-search-path-broken",
    sentence="the search path of node-a has the cluster's domain alone",
    plant=_plant,
    kills=("DNS-01", "DNS-06"),
    may_redden=dict.fromkeys(("DNS-02", "DNS-05", "SVC-16"), "node-a asks for partial names"),
)
