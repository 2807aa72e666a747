"""What a pod's containers share: its namespaces, /dev/shm, and the files that kubelet would write for it.

The namespaces are held by files that they are mounted on, not by a process: nothing of a pod's has to run for them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.datapath import NETNS
from kip_conformance.infra.cell.environment import PodFacts
from kip_conformance.infra.cell.paths import LOGS, POD, SHM
from kip_conformance.infra.cell.pod_files import host_name, hosts_file, resolv_conf
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.runc_config import Mount, Namespaces

__all__ = ["Sandbox"]

_SHM_BYTES = 64 << 20


class Sandbox:
    """Made once for a pod; making it again refreshes its files and leaves the rest."""

    def __init__(self, facts: PodFacts, domain: str, resolv: Mapping[str, Any]) -> None:
        self.facts = facts
        self.domain = domain
        self.resolv = resolv

    @property
    def is_on_host_network(self) -> bool:
        return bool(self.facts.pod["spec"].get("hostNetwork"))

    @property
    def hostname(self) -> str:
        return host_name(self.facts.pod, socket.gethostname())

    @property
    def namespaces(self) -> Namespaces:
        if self.is_on_host_network:
            return Namespaces(ipc=f"{POD}/ns/ipc")
        return Namespaces(f"/run/netns/{NETNS}", f"{POD}/ns/ipc", f"{POD}/ns/uts")

    def make(self) -> None:
        """Raises CellProblem."""
        try:
            for folder in (f"{POD}/ns", f"{POD}/containers", SHM, LOGS):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            if not os.path.exists(f"{POD}/ns/made"):
                self._make_namespaces()
                run(["mount", "-t", "tmpfs", "-o", f"mode=1777,size={_SHM_BYTES}", "shm", SHM])
                Path(f"{POD}/ns/made").touch()
            self.write_files()
        except OSError as error:
            raise CellProblem(f"the pod's sandbox: {error.strerror} ({error.filename})") from error

    def _make_namespaces(self) -> None:
        for name in ("ipc", "uts"):
            Path(f"{POD}/ns/{name}").touch()
        held = [f"--ipc={POD}/ns/ipc"]
        script = "true"
        if not self.is_on_host_network:
            held.append(f"--uts={POD}/ns/uts")
            script = 'echo "$0" > /proc/sys/kernel/hostname'
        run(["unshare", *held, "sh", "-c", script, self.hostname])
        sysctls = (self.facts.pod["spec"].get("securityContext") or {}).get("sysctls") or ()
        if not self.is_on_host_network:
            # As containerd does: a namespace of its own makes these harmless, and images count on them.
            wanted = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
            wanted |= {one["name"].replace("/", "."): str(one["value"]) for one in sysctls}
            _set_sysctls(wanted)

    def write_files(self) -> None:
        """Raises OSError."""
        try:
            machine_file = Path("/etc/hosts").read_text(errors="replace")
        except OSError:
            machine_file = "127.0.0.1\tlocalhost\n"
        _write(f"{POD}/hosts", hosts_file(self.facts.pod, self.facts.pod_ip, self.domain, machine_file))
        _write(f"{POD}/hostname", f"{self.hostname}\n")
        _write(f"{POD}/resolv.conf", resolv_conf(self.resolv))

    def mounts(self) -> Sequence[Mount]:
        return (
            Mount(f"{POD}/hosts", "/etc/hosts"),
            Mount(f"{POD}/hostname", "/etc/hostname"),
            Mount(f"{POD}/resolv.conf", "/etc/resolv.conf"),
            Mount(SHM, "/dev/shm"),
        )


def _set_sysctls(wanted: Mapping[str, str]) -> None:
    lines = [f"echo '{value}' > /proc/sys/{name.replace('.', '/')}" for name, value in wanted.items() if _plain(value)]
    # A /proc of this network namespace is what a process inside sees below /proc/sys/net.
    run(["nsenter", f"--net=/run/netns/{NETNS}", "sh", "-e", "-c", "\n".join(lines)])


def _plain(value: str) -> bool:
    if "'" in value or "\n" in value:
        raise CellProblem(f"spec.securityContext.sysctls: {value!r} is no value")
    return True


def _write(path: str, text: str) -> None:
    # In place: containers have the file itself, and a rename would leave them the old one.
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
