"""The one pod of a cell: its containers in their order, its status, and what is remembered over a restart of the agent.

What is remembered is in memory-backed files: it holds secrets, and a machine that has restarted runs nothing of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kip_conformance.infra.cell import status
from kip_conformance.infra.cell.clock import now
from kip_conformance.infra.cell.container_life import ContainerLife
from kip_conformance.infra.cell.environment import PodFacts
from kip_conformance.infra.cell.events import Events
from kip_conformance.infra.cell.images import Images
from kip_conformance.infra.cell.paths import RUN
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.runtime import Runtime
from kip_conformance.infra.cell.sandbox import Sandbox
from kip_conformance.infra.cell.status import ContainerState

__all__ = ["Pod", "write_private"]

_AGAIN = 5.0
"""Seconds until a sandbox that could not be made is tried again."""
_PATIENCE = 10.0
"""Seconds that containers wait for kube-proxy's first rules."""


class Pod:
    """Everything that changes is changed under `lock`; whoever waits for a newer status waits on it."""

    def __init__(
        self,
        sandbox: Sandbox,
        runtime: Runtime,
        images: Images,
        pull_secrets: Sequence[Mapping[str, Any]],
        before: Mapping[str, Any] | None = None,
        *,
        network: threading.Event,
    ) -> None:
        remembered: Mapping[str, Any] = before or {}
        self.sandbox = sandbox
        self.runtime = runtime
        self.images = images
        self.pull_secrets = pull_secrets
        self.network = network
        self.lock = threading.Condition(threading.RLock())
        self.version = int(remembered.get("version", 0)) + 1
        self.started = str(remembered.get("started") or now())
        self.events = Events(remembered.get("events") or ())
        self.failure = (str(remembered.get("reason", "")), str(remembered.get("message", "")))
        self.is_over = bool(remembered.get("is_over"))
        self.has_sandbox = bool(remembered.get("has_sandbox"))
        self._conditions: list[dict[str, Any]] = list(remembered.get("conditions") or ())
        known = {name: ContainerState(**one) for name, one in (remembered.get("containers") or {}).items()}
        spec = self.facts.pod["spec"]
        self.states = {
            one["name"]: known.get(one["name"]) or ContainerState()
            for one in (*(spec.get("initContainers") or ()), *spec["containers"])
        }
        if spec.get("initContainers") and not known:
            for one in spec["containers"]:
                self.states[one["name"]].state = {"waiting": {"reason": "PodInitializing"}}
        self.lives = self._lives()
        self.stop_by: float | None = None
        self._stopped = threading.Event()
        if "stop_grace" in remembered:
            self._note_stop(float(remembered["stop_grace"]))

    @property
    def facts(self) -> PodFacts:
        return self.sandbox.facts

    @property
    def uid(self) -> str:
        return str(self.facts.pod["metadata"]["uid"])

    @property
    def grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL, when nobody says otherwise."""
        wanted = self.facts.pod["spec"].get("terminationGracePeriodSeconds")
        return 30.0 if wanted is None else float(wanted)

    def _lives(self) -> dict[str, ContainerLife]:
        spec = self.facts.pod["spec"]
        made = [(one, True) for one in spec.get("initContainers") or ()] + [(one, False) for one in spec["containers"]]
        return {
            one["name"]: ContainerLife(self, one, self.states[one["name"]], is_init=is_init) for one, is_init in made
        }

    # -- from outside

    def begin(self) -> None:
        threading.Thread(target=self._live, name="pod", daemon=True).start()

    def update(self, facts: PodFacts, pull_secrets: Sequence[Mapping[str, Any]]) -> None:
        """Take what was sent anew: volumes are refreshed, a container with another image is started again.

        Raises CellProblem when a volume cannot be refreshed.
        """
        spec = facts.pod["spec"]
        new = {one["name"]: one for one in (*(spec.get("initContainers") or ()), *spec["containers"])}
        with self.lock:
            self.sandbox.facts = facts
            self.pull_secrets = pull_secrets
            for name, life in self.lives.items():
                old, life.spec = life.spec, new.get(name, life.spec)
                if old.get("image") != life.spec.get("image") and not life.is_init and life.state.kind == "running":
                    life.kill(f"Container {name} definition changed, will be restarted", self.grace)
        if self.has_sandbox:
            self.runtime.volumes.make(facts)
        self.changed()

    def stop(self, grace: float) -> None:
        """End the pod: containers have `grace` seconds. Asked again, the earlier end holds."""
        with self.lock:
            self._note_stop(grace)
            spec = self.facts.pod["spec"]
            for one in spec["containers"]:
                self.lives[one["name"]].stop(grace)
            for one in spec.get("initContainers") or ():
                if not status.is_sidecar(one):
                    self.lives[one["name"]].stop(grace)
        self.changed()

    def _note_stop(self, grace: float) -> None:
        until = time.monotonic() + grace
        self.stop_by = until if self.stop_by is None else min(self.stop_by, until)
        self._stopped.set()

    def seen(self, containers: Mapping[str, Mapping[str, Any]], *, is_first: bool) -> None:
        """What the keeper knows; the first time after the agent began, what it does not know is lost."""
        for life in self.lives.values():
            told = containers.get(life.run_name)
            if told is not None:
                life.seen(told)
            elif is_first and life.state.kind == "running":
                life.lost()

    # -- the life

    def _live(self) -> None:
        if self.is_over:
            return
        for life in self.lives.values():
            if life.state.kind == "waiting":
                life.images.begin()
        if self._make_sandbox():
            # A container finds Services at its first instruction; it does not wait for ever for who provides them.
            self.network.wait(_PATIENCE)
            self._run_all()
        if self._stopped.is_set() or self.failure[0] or self._is_done():
            self.is_over = True
        self.changed()

    def _make_sandbox(self) -> bool:
        """Until it is there; False when the pod is to stop before."""
        while not self._stopped.is_set():
            try:
                self.sandbox.make()
                self.runtime.volumes.make(self.facts)
            except CellProblem as problem:
                reason = "FailedMount" if "volume" in str(problem) else "FailedCreatePodSandBox"
                self.event("Warning", reason, str(problem))
                self.changed()
                self._stopped.wait(_AGAIN)
                continue
            self.has_sandbox = True
            return True
        return False

    def _run_all(self) -> None:
        spec, deadline = self.facts.pod["spec"], self._deadline()
        sidecars: list[ContainerLife] = []
        for one in spec.get("initContainers") or ():
            life = self.lives[one["name"]]
            if status.is_sidecar(one):
                sidecars.append(life)
                life.thread.start()
                self._wait_started(life)
            elif not (life.state.kind == "terminated" and life.state.exit_code == 0):
                life.thread.start()
                self._join([life], deadline)
            if self._stopped.is_set() or (not status.is_sidecar(one) and life.state.exit_code != 0):
                break
        else:
            for one in spec["containers"]:
                self.lives[one["name"]].thread.start()
            self._join([self.lives[one["name"]] for one in spec["containers"]], deadline)
        for life in reversed(sidecars):
            left = self.grace if self.stop_by is None else self.stop_by - time.monotonic()
            life.stop(max(left, 0.0))
            life.thread.join()

    def _deadline(self) -> float | None:
        seconds = self.facts.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return None
        from kip_conformance.infra.cell.clock import seconds_of

        return time.monotonic() + max(0.0, seconds_of(self.started) + float(seconds) - time.time())

    def _join(self, lives: Sequence[ContainerLife], deadline: float | None) -> None:
        for life in lives:
            life.thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if life.thread.is_alive():
                self.failure = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
                self.stop(self.grace)
                deadline = None
                life.thread.join()

    def _wait_started(self, life: ContainerLife) -> None:
        with self.lock:
            self.lock.wait_for(lambda: life.state.is_started or self._stopped.is_set())

    def _is_done(self) -> bool:
        return status.phase_of(self.facts.pod["spec"], self.states) in ("Succeeded", "Failed")

    # -- what is known

    def event(self, kind: str, reason: str, message: str, field: str = "") -> None:
        with self.lock:
            self.events.add(kind, reason, message, field)

    def changed(self) -> None:
        with self.lock:
            self.version += 1
            self._remember()
            self.lock.notify_all()

    def wait_newer(self, after: int, seconds: float) -> None:
        with self.lock:
            self.lock.wait_for(lambda: self.version > after, timeout=seconds)

    def told(self) -> dict[str, Any]:
        """The status as the seam with the provider has it."""
        with self.lock:
            status, events = self._status(), self.events.list()
            return {"version": self.version, "uid": self.uid, "status": status, "events": events}

    def _status(self) -> dict[str, Any]:
        spec, facts = self.facts.pod["spec"], self.facts
        self._conditions = status.conditions(
            facts.pod, self.states, self._conditions, now(), has_sandbox=self.has_sandbox
        )
        phase = "Failed" if self.failure[0] else status.phase_of(spec, self.states, is_stopping=self.is_over)
        made: dict[str, Any] = {
            "phase": phase,
            "startTime": self.started,
            "conditions": self._conditions,
            "containerStatuses": [
                status.container_status(one, self.states[one["name"]], self.uid, is_init=False)
                for one in spec["containers"]
            ],
        }
        if self.failure[0]:
            made |= {"reason": self.failure[0], "message": self.failure[1]}
        if spec.get("initContainers"):
            made["initContainerStatuses"] = [
                status.container_status(one, self.states[one["name"]], self.uid, is_init=True)
                for one in spec["initContainers"]
            ]
        if self.has_sandbox:
            made |= {"podIP": facts.pod_ip, "podIPs": [{"ip": facts.pod_ip}]}
        return made

    def _remember(self) -> None:
        remembered: dict[str, Any] = {
            "uid": self.uid,
            "version": self.version,
            "started": self.started,
            "events": self.events.list(),
            "conditions": self._conditions,
            "containers": {name: asdict(one) for name, one in self.states.items()},
            "has_sandbox": self.has_sandbox,
            "is_over": self.is_over,
            "reason": self.failure[0],
            "message": self.failure[1],
        }
        if self.stop_by is not None:
            remembered["stop_grace"] = max(0.0, self.stop_by - time.monotonic())
        with contextlib.suppress(OSError):
            write_private(f"{RUN}/remembered.json", json.dumps(remembered))


def write_private(path: str, text: str) -> None:
    """Whole or not at all, for root alone. Raises OSError."""
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)
