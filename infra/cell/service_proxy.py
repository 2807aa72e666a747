"""kube-proxy on the cell: the real program, under the virtual node's name, as long as the agent runs.

A Service's address must be translated here: the VPC has no route to it. What it is told:

- `detectLocalMode: BridgeInterface` with veth0: what comes from there is the pod's own and keeps its address.
- `nodePortAddresses` matches nothing: a cell serves no NodePorts, the kubelet nodes do.
- `hostnameOverride` is the virtual node, which all cells share, so that local policies are the virtual node's.

Another mode is a change of kube-proxy.json and of the agent's settings; once its process ends, the next one starts in
that mode, after the rules and flows of the former one are gone.

A host-network pod has no veth0; then nothing is local, and no cluster address is masqueraded because none is known.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from kip_conformance.infra.cell.commands import last_line, run
from kip_conformance.infra.cell.paths import RUN
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.settings import CellSettings

__all__ = ["MODES", "ServiceProxy", "configuration", "kubeconfig"]

MODES = ("iptables", "nftables", "ipvs")
_FIRST, _MOST = 1.0, 30.0
"""Seconds until it is started again after it ended: doubled each time, and from the beginning after a minute."""
_LOOK = 0.1
_METRICS = 10249
_SYNCED = b"kubeproxy_sync_proxy_rules_last_timestamp_seconds"
_NOBODY = "192.0.2.0/32"
"""No machine has this address (RFC 5737): what listens there alone listens nowhere."""


class ServiceProxy:
    """Keeps kube-proxy running; `say` tells the console why it ended."""

    def __init__(self, settings: CellSettings, address: str, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.address = address
        self.say = say
        self.ready = threading.Event()
        """Set once its rules are written for the first time; at once where none runs."""

    def begin(self) -> None:
        """Nothing happens without an API server. Raises OSError."""
        if not self.settings.api_server:
            self.ready.set()
            return
        files = {
            f"{RUN}/kube-proxy.kubeconfig": kubeconfig(self.settings),
            f"{RUN}/kube-proxy.json": configuration(self.settings, self.address),
        }
        for path, value in files.items():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(value, file)
        threading.Thread(target=self._keep, name="kube-proxy", daemon=True).start()
        threading.Thread(target=self._await_rules, daemon=True).start()

    def _await_rules(self) -> None:
        began = time.monotonic()
        while not _has_synced():
            time.sleep(_LOOK)
        self.say(f"kube-proxy has written its rules after {time.monotonic() - began:.2f} s")
        self.ready.set()

    def _keep(self) -> None:
        _end_former()
        argv = [self.settings.program("kube-proxy"), f"--config={RUN}/kube-proxy.json", "--v=1"]
        pause = _FIRST
        while True:
            self._leave_former_mode()
            began = time.monotonic()
            with open(f"{RUN}/kube-proxy.log", "wb") as log:
                try:
                    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
                        _remember(process.pid)
                        code: int | str = process.wait()
                except OSError as error:
                    code = error.strerror or "it cannot be run"
            lived = time.monotonic() - began
            self.say(f"kube-proxy ended with {code} after {lived:.1f} s: {_last_said()}; it starts again")
            pause = _FIRST if lived > 60 else min(pause * 2, _MOST)
            time.sleep(pause)

    def _leave_former_mode(self) -> None:
        """What kube-proxy wrote in another mode would go on beside what it writes now, and so would its flows."""
        mode = _mode_asked_for()
        former, file = "", f"{RUN}/kube-proxy.mode"
        with contextlib.suppress(OSError), open(file, encoding="ascii") as known:
            former = known.read()
        if former and mode != former:
            commands = ([self.settings.program("kube-proxy"), "--cleanup"], ["conntrack", "-F"])
            for argv in commands:
                try:
                    run(argv)
                except CellProblem as problem:
                    self.say(f"{former} mode could not be left behind: {problem}")
        with open(file, "w", encoding="ascii") as known:
            known.write(mode)


def _mode_asked_for() -> str:
    with open(f"{RUN}/kube-proxy.json", encoding="utf-8") as file:
        return str(json.load(file)["mode"])


def _has_synced() -> bool:
    """Whether its own metrics name a time at which it wrote its rules."""
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", _METRICS), timeout=1) as connection:
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            while part := connection.recv(64 << 10):
                said += part
    except OSError:
        return False
    found = (line.split() for line in said.splitlines() if line.startswith(_SYNCED))
    return any(float(words[-1]) > 0 for words in found)


def _remember(pid: int) -> None:
    with open(f"{RUN}/kube-proxy.pid", "w", encoding="ascii") as file:
        file.write(str(pid))


def _end_former() -> None:
    """One that an agent before this one has left: two would undo each other's rules."""
    try:
        with open(f"{RUN}/kube-proxy.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            is_ours = f"--config={RUN}/kube-proxy.json".encode() in file.read()
        if is_ours:
            os.kill(pid, 9)
    except (OSError, ValueError):
        return


def _last_said() -> str:
    try:
        with open(f"{RUN}/kube-proxy.log", "rb") as file:
            return last_line(file.read()[-4096:]) or "it said nothing"
    except OSError:
        return "it said nothing"


def kubeconfig(settings: CellSettings) -> dict[str, Any]:
    """How kube-proxy reaches the API server: a bearer token of its own."""
    import base64

    authority = base64.b64encode(settings.api_ca.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "it", "cluster": {"server": settings.api_server, "certificate-authority-data": authority}}
        ],
        "users": [{"name": "it", "user": {"token": settings.proxy_token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }


def configuration(settings: CellSettings, address: str) -> dict[str, Any]:
    """KubeProxyConfiguration; `address` is the management address."""
    made: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": settings.proxy_mode,
        "clientConnection": {"kubeconfig": f"{RUN}/kube-proxy.kubeconfig"},
        "hostnameOverride": settings.node_name,
        "nodePortAddresses": [_NOBODY],
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": f"127.0.0.1:{_METRICS}",
        # Conntrack's limits are the machine's, and one pod does not need others.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
        "nftables": {"minSyncPeriod": "100ms"},
        "detectLocalMode": "BridgeInterface",
        "detectLocal": {"bridgeInterface": "veth0"},
    }
    if address:
        made["nodeIPOverride"] = [address]
    return made
