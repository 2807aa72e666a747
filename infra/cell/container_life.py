"""The life of one container: its image, its runs, its restarts, its end. One thread, from top to bottom."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kip_conformance.infra.cell.backoff import BackOff
from kip_conformance.infra.cell.clock import now
from kip_conformance.infra.cell.handlers import Handlers
from kip_conformance.infra.cell.image_life import ImageLife
from kip_conformance.infra.cell.images import Image
from kip_conformance.infra.cell.prober import Probing
from kip_conformance.infra.cell.probes import ProbeSpec
from kip_conformance.infra.cell.runtime import StartProblem
from kip_conformance.infra.cell.status import ContainerState, is_sidecar

if TYPE_CHECKING:
    from kip_conformance.infra.cell.pod import Pod

__all__ = ["ContainerLife"]

_AGAIN = 10.0
"""Seconds until a container that could not be made is tried again."""
_LEAST_GRACE = 2.0
"""Seconds that a container has after its preStop hook used up all of its time."""


class ContainerLife:
    """`state` is the pod's, and changed under its lock only. What happens outside comes in by `tell`."""

    def __init__(self, pod: Pod, spec: Mapping[str, Any], state: ContainerState, *, is_init: bool) -> None:
        self.pod = pod
        self.spec = spec
        self.state = state
        self.is_init = is_init
        self.name = str(spec["name"])
        self.field = f"spec.{'initContainers' if is_init else 'containers'}{{{self.name}}}"
        self.backoff = BackOff(state.wait, time.monotonic() if state.wait else None)
        self.inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.images = ImageLife(self)
        self.probing: Probing | None = None
        self.stop_by: float | None = None
        """When its grace is over, on the clock that never jumps; None while nobody wants it to stop."""
        self.thread = threading.Thread(target=self.live, name=self.name, daemon=True)

    # -- from outside

    @property
    def run_name(self) -> str:
        return f"{self.name}-{self.state.attempt}"

    def seen(self, told: Mapping[str, Any]) -> None:
        """What the keeper knows of the present run."""
        if told["exit"] is not None:
            self.inbox.put(("exit", self.run_name, int(told["exit"]), float(told["finished"])))

    def lost(self) -> None:
        """The keeper does not know the run that went on when the agent ended."""
        self.inbox.put(("exit", self.run_name, 137, time.time()))

    def stop(self, grace: float) -> None:
        self.inbox.put(("stop", grace))

    def kill(self, why: str, grace: float) -> None:
        """End this run; whether another one follows is for the restart policy to say."""
        self.inbox.put(("kill", why, grace))

    # -- the life

    def live(self) -> None:
        """Until it has ended for good."""
        is_running = self.state.kind == "running"
        if self.state.kind == "terminated" and not self._again(self.state.exit_code or 0):
            return
        while True:
            code = None
            if is_running:
                self._started()
            else:
                code = self._start()
                if code is None and self.state.kind != "running":
                    return
            if code is None:
                code = self._wait_end()
            is_running = False
            if not self._again(code):
                return

    def _start(self) -> int | None:
        """None when it runs, or never will; an exit code when it ended before it began."""
        while True:
            image = self.images.provide() if self.pause(0) else None
            if image is None or not self.pause(0):  # asked to stop before, or while its image came
                return None
            with self.pod.lock:
                if self.state.last or self.state.kind == "terminated":
                    self.state.attempt += 1
                if self.state.kind == "terminated":
                    self.state.last, self.state.state = self.state.state, {"waiting": {"reason": "ContainerCreating"}}
            try:
                self._run(image)
                return None
            except StartProblem as problem:
                self.pod.event("Warning", "Failed", f"Error: {problem}", self.field)
                if problem.reason == "RunContainerError":
                    self._ended(128, "StartError", str(problem), time.time())
                    return 128
                with self.pod.lock:
                    if self.state.last:
                        self.state.attempt -= 1
                    self.state.state = {"waiting": {"reason": problem.reason, "message": str(problem)}}
                self.pod.changed()
                if not self.pause(_AGAIN):
                    return None

    def _run(self, image: Image) -> None:
        with self.pod.lock:
            self.state.image_id = self.images.identity(image)
        self.pod.runtime.start(self.spec, self.state.attempt, image, self.pod.sandbox)
        with self.pod.lock:
            self.state.state = {"running": {"startedAt": now()}}
            self.state.is_started = self.state.is_ready = False
        self.pod.changed()  # an agent that begins now must know that it runs
        self.pod.event("Normal", "Created", f"Created container: {self.name}", self.field)
        self.pod.event("Normal", "Started", f"Started container {self.name}", self.field)
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            is_good, why = self._handlers().ask(hook, 3600.0)
            if not is_good:
                self.pod.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {why}", self.field)
                self.kill("FailedPostStartHook", self.pod.grace)
        self._started()

    def _started(self) -> None:
        """It runs: its probes begin."""
        self.probing = Probing(self._handlers(), told=self._probed, unhealthy=self._unhealthy)
        with self.pod.lock:
            self.state.is_started = self.state.is_started or "startup" not in self.probing.specs
            if "readiness" not in self.probing.specs:
                self.state.is_ready = self.state.is_started
            if self.state.is_started:
                self.probing.started.set()
                self.probing.specs.pop("startup", None)
        self.pod.changed()
        self.probing.begin()

    def _wait_end(self) -> int:
        """Until this run has ended; returns its exit code."""
        while True:
            ended = self._next(None)
            if ended is not None:
                return ended

    def _next(self, seconds: float | None) -> int | None:
        """Act on the next message; returns an exit code when it says that this run has ended."""
        try:
            kind, *said = self.inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if kind == "exit" and said[0] == self.run_name:
            self._ended(said[1], "", "", said[2])
            return int(said[1])
        if kind == "stop":
            self._note_stop(said[0])
            return self._terminate(f"Stopping container {self.name}", said[0])
        if kind == "kill":
            return self._terminate(said[0], said[1])
        return None

    def _terminate(self, why: str, grace: float) -> int | None:
        """preStop, SIGTERM, SIGKILL; returns the exit code once it has ended."""
        deadline = time.monotonic() + grace
        if self.probing is not None:
            self.probing.specs.clear()
            self.probing.end()
        self.pod.event("Normal", "Killing", why, self.field)
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            is_good, said = self._handlers().ask(hook, grace)
            if not is_good:
                self.pod.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {said}", self.field)
            deadline = max(deadline, time.monotonic() + _LEAST_GRACE)
        signal = (self.spec.get("lifecycle") or {}).get("stopSignal") or self.images.stop_signal or "SIGTERM"
        if grace > 0:
            self.pod.runtime.signal(self.run_name, signal)
        is_killed = False
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and not is_killed:
                self.pod.runtime.signal(self.run_name, "SIGKILL")
                is_killed = True
            try:
                kind, *said_then = self.inbox.get(timeout=5.0 if is_killed else max(left, 0.001))
            except queue.Empty:
                is_killed = is_killed and time.monotonic() < deadline + 30  # asked again, should it not have helped
                continue
            if kind == "exit" and said_then[0] == self.run_name:
                self._ended(said_then[1], "", "", said_then[2])
                return int(said_then[1])
            if kind == "stop":
                self._note_stop(said_then[0])
                deadline = min(deadline, time.monotonic() + said_then[0])

    def _note_stop(self, grace: float) -> None:
        until = time.monotonic() + grace
        self.stop_by = until if self.stop_by is None else min(self.stop_by, until)

    def _ended(self, code: int, reason: str, message: str, finished: float) -> None:
        if self.probing is not None:
            self.probing.end()
            self.probing = None
        if not reason:
            is_out = code != 0 and self.pod.runtime.ran_out_of_memory(self.run_name)
            reason = "OOMKilled" if is_out else "Completed" if code == 0 else "Error"
            message = self.pod.runtime.message(self.spec, self.state.attempt, code)
        with self.pod.lock:
            started = self.state.state.get("running", {}).get("startedAt") or now(finished)
            ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now(finished)}
            ended["containerID"] = f"cell://{self.pod.uid}/{self.name}/{self.state.attempt}"
            self.state.state = {"terminated": ended | ({"message": message} if message else {})}
            self.state.is_ready = self.state.is_started = False
        self.pod.runtime.remove(self.run_name)
        self.pod.changed()

    def _again(self, code: int) -> bool:
        """Whether another run follows; waits until it is time for it."""
        policy = self.pod.facts.pod["spec"].get("restartPolicy", "Always")
        wants = policy == "Always" or (policy == "OnFailure" and code != 0)
        if self.is_init:
            wants = is_sidecar(self.spec) or (code != 0 and policy != "Never")
        if not wants or self.stop_by is not None:
            return False
        pause = self.backoff.trouble(time.monotonic())
        with self.pod.lock:
            self.state.wait = self.backoff.wait
        if pause <= 0:
            return self.pause(0)
        pod = self.pod.facts.pod["metadata"]
        where = f"pod {pod.get('name')}_{pod.get('namespace')}({self.pod.uid})"
        with self.pod.lock:
            said = f"back-off {pause:.0f}s restarting failed container={self.name} {where.replace('pod ', 'pod=')}"
            self.state.last = self.state.state
            self.state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": said}}
        self.pod.event("Warning", "BackOff", f"Back-off restarting failed container {self.name} in {where}", self.field)
        self.pod.changed()
        return self.pause(pause)

    def pause(self, seconds: float) -> bool:
        """Wait; False when it is to stop meanwhile. What else comes in is about runs that are over."""
        until = time.monotonic() + seconds
        while self.stop_by is None:
            try:
                kind, *said = self.inbox.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return True
            if kind == "stop":
                self._note_stop(said[0])
        return False

    # -- probes and hooks

    def _handlers(self) -> Handlers:
        return Handlers(self.pod.runtime, self.run_name, self.spec, self.pod.facts.pod_ip)

    def _unhealthy(self, spec: ProbeSpec, why: str) -> None:
        self.pod.event("Warning", "Unhealthy", f"{spec.kind.capitalize()} probe failed: {why}", self.field)
        self.pod.changed()

    def _probed(self, spec: ProbeSpec, is_good: bool, _why: str) -> None:
        if spec.kind == "readiness":
            with self.pod.lock:
                self.state.is_ready = is_good
            self.pod.changed()
        elif not is_good:
            grace = self.pod.grace if spec.grace is None else float(spec.grace)
            self.kill(f"Container {self.name} failed {spec.kind} probe, will be restarted", grace)
        elif spec.kind == "startup":
            with self.pod.lock:
                self.state.is_started = True
                if self.probing is not None and "readiness" not in self.probing.specs:
                    self.state.is_ready = True
            self.pod.changed()
