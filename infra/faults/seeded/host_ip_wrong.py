"""The status of one pod names a hostIP that no node has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import place
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.residents import NAMESPACE
from kip_conformance.infra.targets.lab import LabCluster

_VICTIM = "node-b-2"
_WRONG = "192.0.2.77"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    patch = (
        f'[JSONPatch{{op: "replace", path: "/status/hostIP", value: "{_WRONG}"}},'
        f' JSONPatch{{op: "replace", path: "/status/hostIPs/0/ip", value: "{_WRONG}"}}]'
    )
    right = lab.machines[place(lab, _VICTIM).machine].addresses[0]
    only = [f'object.metadata.name == "{_VICTIM}"', f'object.metadata.namespace == "{NAMESPACE}"']
    with rewritten_objects(lab, "pods/status", [patch], only=only, operations=("UPDATE",)) as api:
        # The kubelet, too, writes the right one again and again: what the policy makes of it stays.
        eventually(lambda: _written(api, right), lambda seen: seen == _WRONG, within=10)
        yield
    eventually(lambda: _written(api, right), lambda seen: seen == right, within=10)


def _written(api: KubeApi, address: str) -> str:
    """The hostIP that is stored when this one is written."""
    change = {"status": {"hostIP": address, "hostIPs": [{"ip": address}]}}
    stored: str = api.patch("Pod", _VICTIM, change, NAMESPACE, subresource="status")["status"]["hostIP"]
    return stored


FAULT = Fault(
    name="host-ip-wrong",
    sentence="node-b-2's status.hostIP is no address of its node",
    plant=_plant,
    kills=("IDN-09",),
)
