"""A range is added to the Services' that lies in the VPC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.plan import PLAN
from kip_conformance.infra.targets.lab import LabCluster

_NAME = "kip-fault"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    api = KubeApi(Path(lab.description.kubeconfig))
    unused = list(IPv4Network(PLAN.vpc).subnets(new_prefix=28))[-1]
    api.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": _NAME},
            "spec": {"cidrs": [str(unused)]},
        }
    )
    try:
        yield
    finally:
        api.delete("ServiceCIDR", _NAME)
        # It stays for as long as a Service has an address of it.
        eventually(lambda: api.find("ServiceCIDR", _NAME), lambda found: found is None, within=20)


FAULT = Fault(
    name="service-range-overlaps",
    sentence="Services get addresses from a range of the VPC",
    plant=_plant,
    kills=("CNI-02",),
)
