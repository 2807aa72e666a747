"""Instances from pending to terminated, in time: what calls begin and what a Realizer reports as done.

moto changes states at once and leaves interfaces behind. States and codes: "Amazon EC2 User Guide, Instance lifecycle".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from kip_conformance.infra.cloud.api.call import Call, Refusal, action
from kip_conformance.infra.cloud.api.interfaces import forget
from kip_conformance.infra.cloud.api.lookups import all_instances, instances_of
from kip_conformance.infra.cloud.api.public_addresses import give_public, release, take_public
from kip_conformance.infra.cloud.api.realizer import Realizer, Reported
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.cloud.api.shapes.instances import state
from kip_conformance.infra.cloud.api.store import Store
from moto.ec2.models.instances import InstanceState, StateReason

__all__ = ["Lifecycle"]

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
SHOWN_AFTER_END = 3600.0
"""Seconds that a terminated instance is still described ("terminated instances remain visible ... about an hour")."""


def enter(machine: Any, name: str) -> None:
    """Put an instance into a state."""
    machine._state = InstanceState(name, CODES[name])


def explain(machine: Any, code: str, message: str) -> None:
    """Say why: StateReason and, for what a user asked for, StateTransitionReason."""
    machine.state_reason = StateReason(f"{code}: {message}", code)
    is_users = code.startswith("Client.User")
    machine._reason = f"User initiated ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} GMT)" if is_users else code


def _changes(call: Call, machines: Iterable[tuple[Any, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"InstanceId": machine.id, "PreviousState": before, "CurrentState": state(machine)}
        for machine, before in machines
    ]


def _chosen(call: Call, *, allowed: Iterable[str], verb: str) -> list[tuple[Any, dict[str, Any]]]:
    """The instances asked for with the state that each has now. Raises Refusal when one's state does not allow it."""
    machines = instances_of(call.backend, call.params.get("InstanceIds") or [])
    for machine in machines:
        if machine.state not in allowed:
            raise Refusal(
                "IncorrectInstanceState",
                f"The instance '{machine.id}' is not in a state from which it can be {verb}: it is {machine.state}.",
            )
    return [(machine, state(machine)) for machine in machines]


@action("StartInstances")
def start(call: Call) -> Mapping[str, Any]:
    chosen = _chosen(call, allowed=("stopped", "running"), verb="started")
    for machine, before in chosen:
        if before["Name"] == "stopped":
            enter(machine, "pending")
            machine._reason, machine.state_reason = "", StateReason()
            machine.launch_time = datetime.now(UTC).replace(tzinfo=None)
            machine.kip_boots += 1
            if machine.nics[0].public_ip_auto_assign and len(machine.nics) == 1:
                give_public(call.backend, call.settings, machine.nics[0])
            call.work.start.append(machine.id)
    return {"StartingInstances": _changes(call, chosen)}


@action("StopInstances")
def stop(call: Call) -> Mapping[str, Any]:
    chosen = _chosen(call, allowed=("stopped", "stopping", "running"), verb="stopped")
    for machine, before in chosen:
        if machine.disable_api_stop:
            raise Refusal("OperationNotPermitted", f"The instance '{machine.id}' may not be stopped: disableApiStop.")
        if before["Name"] == "running":
            enter(machine, "stopping")
            explain(machine, "Client.UserInitiatedShutdown", "User initiated shutdown")
            call.work.stop.append(machine.id)
    return {"StoppingInstances": _changes(call, chosen)}


@action("TerminateInstances")
def terminate(call: Call) -> Mapping[str, Any]:
    chosen = _chosen(call, allowed=CODES, verb="terminated")
    for machine, before in chosen:
        if machine.disable_api_termination:
            raise Refusal(
                "OperationNotPermitted",
                f"The instance '{machine.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                "attribute and try again.",
            )
        if before["Name"] not in ("shutting-down", "terminated"):
            enter(machine, "shutting-down")
            explain(machine, "Client.UserInitiatedShutdown", "User initiated shutdown")
            call.work.terminate.append(machine.id)
    return {"TerminatingInstances": _changes(call, chosen)}


@action("RebootInstances")
def reboot(call: Call) -> Mapping[str, Any]:
    for machine, _ in _chosen(call, allowed=("running",), verb="rebooted"):
        machine.kip_boots += 1
        call.work.reboot.append(machine.id)
    return {}


class Lifecycle:
    """What a Realizer reports (realizer.Reports), and what it is told again when the server starts."""

    def __init__(self, store: Store, backend: Callable[[], Any], settings: Settings) -> None:
        self._store = store
        self._backend = backend
        self._settings = settings
        self.realizer: Realizer | None = None

    def report(self, instance_ids: Sequence[str], state: Reported, reason: str = "") -> None:
        """Take up a report; where it fits no state any more (an instance terminated meanwhile) it changes nothing.

        Raises ValueError for an instance or a state that does not exist.
        """
        if state not in get_args(Reported):
            raise ValueError(f"a report is {', '.join(get_args(Reported)[:-1])} or rebooting, not {state!r}")
        with self._store.lock:
            try:
                machines = instances_of(self._backend(), instance_ids)
            except Refusal as refusal:
                raise ValueError(refusal.message) from refusal
            for machine in machines:
                self._take(machine, state, reason)
            if self._store.commit("ec2") and self.realizer is not None:
                self.realizer.changed(self._store.version)

    def _take(self, machine: Any, state: Reported, reason: str) -> None:
        if state == "running" and machine.state == "pending":
            enter(machine, "running")
        elif state == "stopped" and machine.state == "stopping":
            self._end_stop(machine)
        elif state == "terminated" and machine.state == "shutting-down":
            self._end(machine)
        elif state == "failed" and machine.state == "pending":
            explain(machine, "Server.InternalError", reason or "Internal error on launch")
            self._end(machine)
        elif state == "off" and machine.state == "running":
            self._take_off(machine)
        elif state == "rebooting" and machine.state == "running":
            machine.kip_boots += 1

    def _take_off(self, machine: Any) -> None:
        """What an instance that turns itself off comes to ("Change instance initiated shutdown behavior")."""
        explain(machine, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        if machine.instance_initiated_shutdown_behavior == "terminate":
            self._end(machine)
        else:
            self._end_stop(machine)

    def resume(self) -> None:
        """Tell the Realizer what was under way when the last server ended, and forget what ended long ago."""
        with self._store.lock:
            backend = self._backend()
            self._prune(backend)
            by_state: dict[str, list[str]] = {}
            for machine in all_instances(backend):
                by_state.setdefault(machine.state, []).append(machine.id)
            if self.realizer is not None:
                self.realizer.start(by_state.get("pending", []))
                self.realizer.stop(by_state.get("stopping", []))
                self.realizer.terminate(by_state.get("shutting-down", []))

    def _end_stop(self, machine: Any) -> None:
        enter(machine, "stopped")
        for eni in machine.nics.values():
            take_public(eni)

    def _end(self, machine: Any) -> None:
        """The end of an instance: interfaces and volumes go that are to go with it, others are free."""
        backend = self._backend()
        for eni in list(machine.nics.values()):
            take_public(eni)
            for one in backend.addresses:
                if one.eni is eni and eni.delete_on_termination:
                    release(one)
                elif one.eni is eni:
                    one.instance = None
            machine.detach_eni(eni)
            if eni.delete_on_termination:
                forget(backend, eni)
        machine.teardown_defaults()
        backend.iam_instance_profile_associations.pop(machine.id, None)
        machine.iam_instance_profile = None
        enter(machine, "terminated")
        machine.kip_ended = time.time()
        self._prune(backend)

    def _prune(self, backend: Any) -> None:
        """Forget instances that ended long enough ago, with their tags and tokens."""
        before = time.time() - SHOWN_AFTER_END
        for reservation in list(backend.reservations.values()):
            gone = [one for one in reservation.instances if getattr(one, "kip_ended", before) < before]
            if not gone:
                continue
            reservation.instances = [one for one in reservation.instances if one not in gone]
            for machine in gone:
                backend.tags.pop(machine.id, None)
            if not reservation.instances:
                backend.reservations.pop(reservation.id)
                tokens = backend.__dict__.get("kip_tokens", {})
                for key in [key for key, (_, made) in tokens.items() if made == reservation.id]:
                    del tokens[key]
