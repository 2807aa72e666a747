"""The agent: makes the pod's network, answers the provider, and goes on with the pod that it finds."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from kip_conformance.infra.cell import cgroups
from kip_conformance.infra.cell.admission import check_pod
from kip_conformance.infra.cell.clock import now
from kip_conformance.infra.cell.datapath import find_uplink, make_pod_network
from kip_conformance.infra.cell.environment import PodFacts
from kip_conformance.infra.cell.images import Images
from kip_conformance.infra.cell.keeper import UNUSABLE
from kip_conformance.infra.cell.keeper_client import KeeperClient
from kip_conformance.infra.cell.paths import IMAGES, RUN
from kip_conformance.infra.cell.pod import Pod, write_private
from kip_conformance.infra.cell.policy import apply_policies
from kip_conformance.infra.cell.problems import CellProblem, Refused
from kip_conformance.infra.cell.rules import apply_rules
from kip_conformance.infra.cell.runtime import Runtime
from kip_conformance.infra.cell.sandbox import Sandbox
from kip_conformance.infra.cell.server import Server, tls_context
from kip_conformance.infra.cell.service_proxy import ServiceProxy
from kip_conformance.infra.cell.settings import CellSettings
from kip_conformance.infra.cell.volumes import Volumes

__all__ = ["Agent", "serve"]


class Agent:
    """One cell. `pod` is None until the provider has sent one."""

    def __init__(self, version: str, settings: CellSettings) -> None:
        self.version = version
        self.settings = settings
        self.started = now()
        self.uplink = find_uplink()
        self.keeper = KeeperClient()
        self.group = cgroups.own_group(Path("/proc/self/cgroup").read_text())
        self.images = Images(IMAGES, settings.image_store, registry_ca=settings.registry_ca)
        self.proxy = ServiceProxy(settings, self.uplink.address, say)
        self.pod: Pod | None = None
        self.lock = threading.Lock()

    @property
    def has_pod_network(self) -> bool:
        return bool(self.settings.pod_address)

    @property
    def pod_ip(self) -> str:
        return self.settings.pod_address or self.uplink.address

    def prepare(self) -> None:
        """Datapath and groups; doing it again changes nothing. Raises CellProblem."""
        if self.has_pod_network:
            make_pod_network(self.uplink, self.settings.pod_address)
            apply_rules(self.uplink, self.settings)
        self.proxy.begin()
        try:
            cgroups.prepare(self.group)
        except OSError as error:
            raise CellProblem(f"control group {self.group}: {error.strerror}") from error

    # -- the pod

    def put(self, wanted: dict[str, Any]) -> None:
        """Begin with a pod, or take its new values. Raises Refused."""
        pod = wanted.get("pod")
        if not isinstance(pod, dict):
            raise Refused(400, "pod: a v1 Pod is needed")
        check_pod(pod, has_pod_network=self.has_pod_network)
        facts = self._facts(wanted)
        with self.lock:
            if self.pod is not None and self.pod.uid != pod["metadata"]["uid"]:
                raise Refused(409, f"this cell is pod {self.pod.uid}'s")
            # Before the first packet of the pod's: it must never have been open.
            self._police(wanted.get("policy") or {})
            write_private(f"{RUN}/pod.json", json.dumps(wanted))
            if self.pod is None:
                self.pod = self._make(wanted, facts, None)
                self.pod.changed()
                self.pod.begin()
            else:
                self.pod.update(facts, wanted.get("pullSecrets") or [])

    def police(self, policy: dict[str, Any]) -> None:
        """Judge new flows of the pod by this from now on. Raises Refused and CellProblem."""
        with self.lock:
            self._police(policy)

    def _police(self, policy: dict[str, Any]) -> None:
        if self.has_pod_network:
            apply_policies({self.settings.pod_address: policy})
            write_private(f"{RUN}/policy.json", json.dumps(policy))

    def _facts(self, wanted: dict[str, Any]) -> PodFacts:
        return PodFacts(
            pod=wanted["pod"],
            host_ip=wanted.get("hostIP") or "",
            pod_ip=self.pod_ip,
            node_name=self.settings.node_name,
            config_maps=wanted.get("configMaps") or {},
            secrets=wanted.get("secrets") or {},
            tokens=wanted.get("tokens") or {},
            service_env=wanted.get("serviceEnv") or {},
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            cores=float(os.cpu_count() or 1),
        )

    def _make(self, wanted: dict[str, Any], facts: PodFacts, before: dict[str, Any] | None) -> Pod:
        sandbox = Sandbox(facts, self.settings.cluster_domain, wanted.get("resolv") or {})
        runtime = Runtime(self.keeper, Volumes(), self.group, self.settings.program("runc"))
        return Pod(sandbox, runtime, self.images, wanted.get("pullSecrets") or [], before, network=self.proxy.ready)

    def resume(self) -> None:
        """Go on with the pod that an agent before this one had, if there is one."""
        with contextlib.suppress(OSError, ValueError):
            self.police(json.loads(Path(RUN, "policy.json").read_text()))
        with contextlib.suppress(OSError, ValueError, KeyError):
            wanted = json.loads(Path(RUN, "pod.json").read_text())
            try:
                before = json.loads(Path(RUN, "remembered.json").read_text())
            except (OSError, ValueError):
                before = None
            self.pod = self._make(wanted, self._facts(wanted), before)

    def follow_keeper(self) -> None:
        """Hand on what happens to containers, for ever; the agent ends when the keeper does."""
        is_first = True

        def seen(containers: dict[str, dict[str, Any]]) -> None:
            nonlocal is_first
            if self.pod is not None:
                self.pod.seen(containers, is_first=is_first)
                if is_first:
                    self.pod.begin()
            is_first = False

        try:
            self.keeper.watch(seen)
        except CellProblem as problem:
            say(str(problem))
        os._exit(1)


def say(line: str) -> None:
    """On the instance's console."""
    print(f"cell: {line}", flush=True)


def serve(version: str, path: str) -> int:
    """Run the agent until it is killed; returns 2 for settings that cannot be used."""
    # Imported late: answering needs the agent, and the agent's type.
    from kip_conformance.infra.cell.api import Api

    # What containers see is readable by whoever they run as; what is secret is opened with its own mode.
    os.umask(0o022)
    threading.stack_size(256 << 10)
    try:
        settings = CellSettings.from_json(Path(path).read_text())
    except (OSError, ValueError) as error:
        say(str(error))
        return UNUSABLE
    if settings.version != version:
        say(f"this agent is version {version}, and {settings.version} was asked for: it does not start")
        return UNUSABLE
    began = time.monotonic()
    try:
        context = tls_context(settings)
        agent = Agent(version, settings)
        agent.prepare()
        agent.resume()
        server = Server(context, Api(agent).answer)
    except (CellProblem, OSError) as problem:
        say(str(problem))
        return 1
    threading.Thread(target=agent.follow_keeper, daemon=True).start()
    say(f"agent {version} answers on {agent.uplink.address}:6421 after {time.monotonic() - began:.2f} s")
    sys.stdout.flush()
    server.serve()
    return 0
