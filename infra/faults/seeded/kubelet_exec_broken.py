"""The kubelet of node-a refuses the API server: no logs and no exec there. Its pods' network is healthy."""

from contextlib import AbstractContextManager

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import nft_table
from kip_conformance.infra.targets.lab import LabCluster


def _plant(lab: LabCluster) -> AbstractContextManager[None]:
    chain = (
        "chain input { type filter hook input priority filter - 5; policy accept;"
        " tcp dport 10250 reject with tcp reset; }"
    )
    return nft_table(lab.machines["node-a"], chain)


FAULT = Fault(
    name="kubelet-exec-broken",
    sentence="node-a's kubelet port refuses connections",
    plant=_plant,
    kills=("N2P-07",),
    may_redden=dict.fromkeys(("N2P-08", "N2P-09"), "attach and port-forward go through that port too"),
    blinds=True,
)
