"""Cluster DNS knows Services of a few namespaces only: the suite's own and the cluster's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.workloads.conditions import is_ready

_SYSTEM, _MAP = "kube-system", "coredns"
_LABELS = {"k8s-app": "kube-dns"}
_KNOWN = "namespaces default kube-system kip-conformance"


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    api = KubeApi(Path(lab.description.kubeconfig))
    sound = api.find("ConfigMap", _MAP, _SYSTEM) or {}
    text = sound["data"]["Corefile"]
    _configure(api, text.replace("pods insecure", f"{_KNOWN}\n            pods insecure"))
    try:
        yield
    finally:
        _configure(api, text)


def _configure(api: KubeApi, text: str) -> None:
    """Give cluster DNS this Corefile, and replace its pod: it reads the file once, when it starts."""
    api.patch("ConfigMap", _MAP, {"data": {"Corefile": text}}, _SYSTEM)
    old = {pod["metadata"]["uid"] for pod in api.list("Pod", _SYSTEM, labels=_LABELS)}
    for pod in api.list("Pod", _SYSTEM, labels=_LABELS):
        api.delete("Pod", pod["metadata"]["name"], _SYSTEM, grace=0)

    def fresh() -> list[dict[str, Any]]:
        return [pod for pod in api.list("Pod", _SYSTEM, labels=_LABELS) if pod["metadata"]["uid"] not in old]

    eventually(fresh, lambda pods: bool(pods) and all(map(is_ready, pods)), within=30)


FAULT = Fault(
    name="names-of-some-namespaces",
    sentence="cluster DNS has no records of Services in namespaces that a test makes",
    plant=_plant,
    kills=("SVC-16",),
    may_redden=dict.fromkeys(("IDN-08", "DNS-01", "DNS-02", "DNS-05"), "it asks for names in a namespace of its own"),
    every_mode=True,
)
