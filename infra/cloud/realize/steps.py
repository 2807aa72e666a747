"""One step: from what the API says now to networks, services around instances, and machines, in this order.

Machines end before their network goes and start after it is there; metadata is served before a machine asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kip_conformance.infra.cloud.facts import InstanceFacts, WorldFacts, ZoneFacts
from kip_conformance.infra.cloud.link_local.client import LinkLocal
from kip_conformance.infra.cloud.network import interface_names, network_of, on_the_network
from kip_conformance.infra.cloud.outside import Outside, world_of
from kip_conformance.infra.cloud.realize.hosts import HostMachines
from kip_conformance.infra.cloud.realize.machines import Machines, Report
from kip_conformance.infra.cloud.realize.roles import temporary_credentials
from kip_conformance.infra.cloud.surroundings import Surroundings
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.fabric.names import nic_namespace
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import NetworkState

__all__ = ["Realization"]


@dataclass(slots=True)
class Realization:
    """Everything that is made of the API's words. `network` is the state that was applied last."""

    fabric: Fabric
    link_local: LinkLocal
    machines: Machines
    hosts: HostMachines
    around: Outside = field(default_factory=Outside)
    network: NetworkState | None = None
    _instances: dict[str, InstanceFacts] = field(default_factory=dict)
    _zones: dict[str, ZoneFacts] = field(default_factory=dict)
    _world: WorldFacts | None = None

    def step(self, view: CloudView) -> dict[str, Report]:
        """Make it so; returns what is to be reported of instances. Raises HarnessError when something would not.

        A step that failed can be done again: what it did already is not done twice.
        """
        instances = {one.id: one for one in view.instances}
        reports = self.machines.end(instances)
        names = interface_names(view)
        there = Surroundings(
            view,
            self.around.upstream,
            netns=lambda interface: nic_namespace(names[interface]),
            role=lambda role: temporary_credentials(view.account, role),
        )
        facts = {name: there.instance(name) for name in on_the_network(view)}
        zones = {one.id: there.zone(one.id) for one in view.vpcs}
        self._withdraw(facts, zones)
        self.hosts.end(self.around.machines)
        self._answer_nobody_from_elsewhere()
        try:
            state = network_of(view, self.around)
            if state != self.network:
                reconcile(self.fabric, state)
                self.network = state
        except ValueError as error:
            return reports | self.machines.fail(instances.values(), f"the network cannot be: {error}")
        self._offer(facts, zones)
        reports |= self.machines.begin(instances, lambda one: there.lease(one.id))
        self.hosts.begin(self.around.machines)
        return reports

    def _withdraw(self, facts: Mapping[str, InstanceFacts], zones: Mapping[str, ZoneFacts]) -> None:
        """Stop serving what is gone or has other interfaces: an open socket would keep a namespace alive."""
        moved = [
            name
            for name, before in self._instances.items()
            if name not in facts or _namespaces(before) != _namespaces(facts[name])
        ]
        gone = [name for name in self._zones if name not in zones]
        if moved or gone:
            self.link_local.remove(*moved, zones=gone)
            for name in moved:
                del self._instances[name]
            for name in gone:
                del self._zones[name]

    def _answer_nobody_from_elsewhere(self) -> None:
        """The outside world's names are not served any more where their resolver's place goes."""
        if self._world is not None and _place(self._world) != _place(world_of(self.around)):
            self.link_local.put_world(None)
            self._world = None

    def _offer(self, facts: Mapping[str, InstanceFacts], zones: Mapping[str, ZoneFacts]) -> None:
        new = [one for name, one in facts.items() if self._instances.get(name) != one]
        changed = [one for name, one in zones.items() if self._zones.get(name) != one]
        if new or changed:
            self.link_local.put(*new, zones=changed)
            self._instances, self._zones = dict(facts), dict(zones)
        world = world_of(self.around)
        if self._world != world:
            self.link_local.put_world(world)
            self._world = world


def _namespaces(facts: InstanceFacts) -> list[str]:
    return [one.netns for one in facts.interfaces]


def _place(world: WorldFacts | None) -> tuple[str, str] | None:
    return None if world is None else (world.netns, world.address)
