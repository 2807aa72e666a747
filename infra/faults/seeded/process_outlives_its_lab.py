"""A process of every lab that comes up meanwhile outlives it: it was started into a network namespace from outside."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.lab.census import processes_of
from kip_conformance.infra.lab.state import lab_folders
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    known = {folder.run_id for folder in lab_folders()}
    over, started = threading.Event(), list[subprocess.Popen[bytes]]()

    def watch() -> None:
        while not over.wait(0.2):
            for folder in lab_folders():
                if folder.run_id not in known and folder.kubeconfig.exists():
                    pid = next((pid for pid, line in processes_of(folder.run_id) if "kubelet" in line), "")
                    if pid:
                        known.add(folder.run_id)
                        started.append(subprocess.Popen(["nsenter", "-t", pid, "-n", "sleep", "600"]))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        for process in started:
            process.kill()
            process.wait()


FAULT = Fault(
    name="process-outlives-its-lab",
    sentence="a process in a network namespace of a lab outlives the lab",
    plant=_plant,
    kills=("TDN-01",),
    # No other row looks at other labs, and some of the nightly ones take minutes.
    options=("--kip-nightly", "--requirement", "TDN-01"),
)
