"""Further containers of a new pod get a network namespace of their own, as when a runtime ignores the sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.admission import rewritten_objects
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.residents import NAMESPACE
from kip_conformance.infra.targets.lab import LabCluster

_APART = "ip link set lo up && exec /usr/bin/python3 /prober.py"
_PATCH = (
    '[JSONPatch{op: "add", path: "/spec/containers/1/command", value:'
    f' ["/bin/busybox", "unshare", "-n", "/bin/sh", "-c", "{_APART} \\"$@\\"", "prober"]}},'
    ' JSONPatch{op: "add", path: "/spec/containers/1/securityContext", value:'
    " Object.spec.containers.securityContext{privileged: true}}]"
)
_ONLY = (f'object.metadata.namespace != "{NAMESPACE}"', "size(object.spec.containers) > 1")


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    with rewritten_objects(lab, "pods", [_PATCH], only=_ONLY):
        yield


FAULT = Fault(
    name="containers-apart",
    sentence="the second container of a pod has a network namespace of its own",
    plant=_plant,
    kills=("LOC-01", "LOC-02"),
)
