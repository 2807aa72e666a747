"""node-b's IPAM plug-in does nothing on CNI DEL: the addresses of deleted pods stay reserved."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.node import NodeFiles
from kip_conformance.infra.lab.plan import NODES, PLAN
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster

_IPAM = "host-local"
_RELEASE = (
    'for file in /var/lib/cni/networks/*/*.*.*.*; do case " $0 " in *" ${file##*/} "*) ;; *) rm -f "$file"; esac; done'
)


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    node = next(node for node in NODES if node.name == "node-b")
    plugin = NodeFiles(lab.control.folder, node, PLAN).cni_bin / _IPAM
    real = plugin.readlink()
    plugin.unlink()
    plugin.write_text(f'#!/bin/sh\n[ "$CNI_COMMAND" = DEL ] && exit 0\nexec {real} "$@"\n')
    plugin.chmod(0o755)
    try:
        yield
    finally:
        plugin.unlink()
        plugin.symlink_to(real)
        pods = KubeApi(Path(lab.description.kubeconfig)).list("Pod")
        live = " ".join(pod["status"].get("podIP", "") for pod in pods)
        run_checked(lab.machines[node.name], ["sh", "-c", _RELEASE, live])


FAULT = Fault(
    name="address-leaked",
    sentence="node-b never releases the address of a deleted pod",
    plant=_plant,
    kills=("CNI-04",),
)
