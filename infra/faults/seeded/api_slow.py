"""Every answer of the API server, exec streams included, reaches the operator half a second late."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.targets.lab import LabCluster

_DELAY = "0.5"  # seconds


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    kubeconfig = Path(lab.description.kubeconfig)
    sound = kubeconfig.read_text()
    (port,) = re.findall(r"https://127\.0\.0\.1:(\d+)", sound)
    held = lab.control.open([sys.executable, "-m", "kip_conformance.infra.faults.slow_way", port, _DELAY])
    try:
        with open(held.stdout, closefd=False) as said:
            slow = said.readline().strip()
        kubeconfig.write_text(sound.replace(f"127.0.0.1:{port}", f"127.0.0.1:{slow}"))
        eventually(KubeApi(kubeconfig).is_ready, bool, within=10)
        yield
    finally:
        kubeconfig.write_text(sound)
        held.close()


FAULT = Fault(
    name="api-slow",
    sentence="what the API server answers arrives half a second late",
    plant=_plant,
    is_tolerated=True,
)
