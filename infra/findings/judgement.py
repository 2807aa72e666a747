"""From a trace of the repeated probe to one hop for each piece of its way, the broken one among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kip_conformance.infra.findings.explain import Reason, between, inside, local, rejection, translation
from kip_conformance.infra.findings.finding import Hop
from kip_conformance.infra.findings.links import mac_of
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.findings.path import Leg, way_back
from kip_conformance.infra.findings.repeat import Repeated
from kip_conformance.infra.findings.scene import Case, Scene
from kip_conformance.infra.findings.trace import Stop, Wave, first_at, furthest, rewrites
from kip_conformance.infra.probe.observation import REQUEST_ARRIVED
from kip_conformance.infra.targets.protocol import Place

__all__ = ["Judgement", "Way"]

CLIENT, LISTENER = "\0client", "\0listener"
"""Keys of the two hops that are no vantage."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way of the probe: its ends, the machines it goes over, and the stops where it should be seen."""

    client: Place
    server: Place
    legs: Sequence[Leg]
    stops: tuple[Stop, ...]


class Judgement:
    """Blames one hop, and says of the others how far they were seen to work."""

    def __init__(self, case: Case, scene: Scene, repeated: Repeated, way: Way) -> None:
        self._case, self._scene, self._repeated, self._way = case, scene, repeated, way
        self._waves = repeated.trace.waves(case.target.protocol)
        # Where nothing could be captured, nothing that was not seen means anything.
        self._stops = tuple(
            stop for stop in way.stops if stop.vantage in scene.views and stop.vantage not in repeated.unseen
        )

    def hops(self) -> tuple[Hop, ...]:
        """All hops from the client to the listener, in order."""
        key, reason = self._blame()
        keys = [CLIENT]
        for leg in self._way.legs:
            keys += [*leg.before, leg.machine]
        if key and key not in keys and key != LISTENER:  # the network between two machines
            keys.insert(keys.index(self._way.legs[-1].machine), key)
        keys = [*dict.fromkeys(keys), LISTENER]
        return tuple(self._hop(each, key, reason) for each in keys)

    # ------------------------------------------------------------------------------------------------------- blame

    def _blame(self) -> tuple[str, Reason]:
        """The key of the hop that did not do its part, and why."""
        if not self._stops:
            return "", Reason("nothing could be captured anywhere", "")
        if self._case.observation.is_open:
            return self._changed()
        rejected = self._rejected()
        if rejected is not None:
            return rejected
        for wave in self._waves:
            stops = way_back(self._stops) if wave.is_answer else self._stops
            last = furthest(wave, stops)
            if last < len(stops) - 1:
                return self._not_beyond(wave, stops, last)
        return CLIENT, Reason("everything came back to its interface, and still it says otherwise", "the pod itself")

    def _changed(self) -> tuple[str, Reason]:
        """The probe was answered, and from where it seemed to come is wrong."""
        if self._case.observation.seen_source in self._case.client.sources:
            return "", Reason("what is wrong with the answer is not its way", "")
        for wave in self._waves[:1]:
            for change in rewrites(wave, self._stops):
                view = self._scene.views[self._stops[change.stop].vantage]
                return view.key, translation(view, change.before, change.after)
            first = first_at(wave, self._stops[0])
            if first is not None and first.packet.source not in self._case.client.sources:
                said = f"sent it with source {first.packet.source}, none of its own"
                return CLIENT, Reason(said, "the pod itself, or its CNI")
        return LISTENER, Reason(
            f"saw {self._case.observation.seen_source}, though no capture shows a change of the source",
            "the pod itself",
        )

    def _rejected(self) -> tuple[str, Reason] | None:
        """Somebody on the way said no: who was it?"""
        # "Time to live exceeded" is a loop: who sent the packet the wrong way is seen from the way itself.
        errors = [seen for seen in self._repeated.trace.errors if seen.packet.icmp != (11, 0)]
        said = [*self._repeated.trace.resets, *errors]
        if not said or self._case.observation.kind not in ("refused", "reset", "unreachable", "timeout"):
            return None
        for seen in said:
            came_in = [other for other in said if other.vantage == seen.vantage and other.way == "in"]
            view = self._scene.views.get(seen.vantage)
            if seen.way == "out" and not came_in and view is not None:
                return view.key, rejection(view, seen, view.key)
        speaker = said[0].packet.source
        machine = self._scene.machine_at(speaker)
        if machine and machine != self._way.server.machine:
            return machine, rejection(self._scene.views.get(machine), said[0], machine)
        return LISTENER, rejection(None, said[0], f"{self._way.server.name}: nothing listens on that port")

    def _not_beyond(self, wave: Wave, stops: Sequence[Stop], last: int) -> tuple[str, Reason]:
        """The wave came to the stop with index `last` (-1: to none) and not to the next."""
        missing = stops[last + 1]
        view = self._scene.views[missing.vantage]
        if last < 0:
            return self._never_sent(wave, missing, view)
        came = first_at(wave, stops[last])
        assert came is not None
        if stops[last].vantage == missing.vantage:
            return view.key, inside(view, wave, came, missing, timeout=self._scene.deadline.share())
        sender = self._scene.views[stops[last].vantage]
        far = self._way.client if wave.is_answer else self._way.server
        machine = self._scene.machines.get(far.machine)
        timeout = self._scene.deadline.share()
        is_senders, reason = between(sender, view, wave, came, machine.addresses if machine else (), timeout=timeout)
        if not is_senders and not view.is_network and not sender.is_network:
            return f"{sender.key} to {view.key}", reason
        return (sender.key if is_senders else view.key), reason

    def _never_sent(self, wave: Wave, missing: Stop, view: View) -> tuple[str, Reason]:
        """Nothing of the wave was seen at the first stop: its maker, or the link to it."""
        place = self._way.server if wave.is_answer else self._way.client
        key = LISTENER if wave.is_answer else CLIENT
        if place.kind != "pod":
            return self._never_made(wave, missing, view, key)
        if missing.interface and view.after.is_up(missing.interface) is False:
            return key, Reason(f"{missing.interface}, its interface on {view.key}, is down", "CNI", ("ip link",))
        wrong = [seen for seen in wave.sightings if seen.vantage == view.key and seen.packet.is_misaddressed]
        if wrong:
            return key, Reason("it sends to a MAC that is not its gateway's: a wrong neighbour entry", "CNI")
        if wave.is_answer:
            return self._no_answer(wave, view, missing)
        said = f"no {wave.name} was seen to leave it ({self._case.observation})"
        return key, Reason(said, "CNI (the pod's own interface and routes), or the pod itself")

    def _never_made(self, wave: Wave, missing: Stop, view: View, key: str) -> tuple[str, Reason]:
        """The same for a place in its machine's own network namespace, where no link lies between."""
        if missing.way == "out" and not wave.is_answer:
            to, timeout = self._way.server.address, self._scene.deadline.share()
            return view.key, local(view, wave, missing, to, timeout=timeout)
        if view.drops:
            return view.key, inside(view, wave, None, missing, timeout=self._scene.deadline.share())
        return key, Reason(f"no {wave.name} was seen to leave {view.key}", "the listener itself")

    def _no_answer(self, wave: Wave, view: View, missing: Stop) -> tuple[str, Reason]:
        device = missing.interface
        mac, _ = view.after.neighbour(self._way.server.address, device) if device else ("", "")
        own = mac_of(self._scene, self._way.server)
        if mac and own and mac.lower() != own.lower():
            said = f"sends to the MAC {mac} on {device}, the pod's is {own}: a wrong neighbour entry"
            return view.key, Reason(said, "CNI", ("capture", "ip neigh"))
        arrived = REQUEST_ARRIVED in self._case.observation.detail
        said = (
            "the request reached the listener, and its answer never left the pod"
            if arrived
            else f"the request reached the pod's interface {device}, and no {wave.name} came out of it"
        )
        return LISTENER, Reason(said.replace("  ", " "), "the pod itself")

    # -------------------------------------------------------------------------------------------------------- hops

    def _hop(self, key: str, blamed: str, reason: Reason) -> Hop:
        name, where = self._names(key)
        if key == blamed:
            return Hop(name, where, ", ".join(reason.looked_at), False, reason.said, reason.owner)
        if key in self._repeated.unseen:
            return Hop(name, where, "nothing", None, self._repeated.unseen[key])
        ok, said = self._passing(key)
        return Hop(name, where, "capture", ok, said)

    def _names(self, key: str) -> tuple[str, str]:
        machines = [leg.machine for leg in self._way.legs]
        if key == CLIENT:
            return "client", self._way.client.name
        if key == LISTENER:
            return "listener", self._way.server.name
        view = self._scene.views.get(key)
        if view is not None and view.is_network:
            return view.name, view.where
        if key not in machines:
            return "network", key
        kind = "client machine" if key == machines[0] else "peer machine" if key == machines[-1] else "NodePort machine"
        return ("machine" if len(machines) == 1 else kind), key

    def _passing(self, key: str) -> tuple[bool | None, str]:
        """What was seen of the probe at a hop that is not blamed."""
        seen = [sighting for wave in self._waves for sighting in wave.sightings if sighting.vantage == key]
        if key == CLIENT:
            sent = any(not wave.is_answer and wave.sightings for wave in self._waves)
            return (True, "the probe left it") if sent else (None, "nothing was seen of it")
        if key == LISTENER:
            answered = any(wave.is_answer and wave.sightings for wave in self._waves)
            return (True, "it answered") if answered else (None, "nothing came so far")
        if not seen:
            return None, "nothing came so far"
        words = []
        for wave in self._waves:
            ways = dict.fromkeys(
                f"{sighting.way} {sighting.interface}" for sighting in wave.sightings if sighting.vantage == key
            )
            words += [f"{wave.name}: {', '.join(ways)}"] if ways else []
        return True, "; ".join(words)
