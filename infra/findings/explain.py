"""Why a vantage did not pass a packet on: from what it looks like, in words and with a likely owner."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.findings.rules import Rule
from kip_conformance.infra.findings.trace import Sighting, Stop, Wave

__all__ = ["Reason", "between", "inside", "local", "rejection", "translation"]

CNI = "CNI"
NODE = "node (packet filter or routing)"
PROXY = "service proxy"

_ICMP = {
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 4): "fragmentation needed",
    (3, 9): "network prohibited",
    (3, 10): "host prohibited",
    (3, 13): "administratively prohibited",
    (11, 0): "time to live exceeded",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """What was found, the owner it points at, and the commands that showed it."""

    said: str
    owner: str
    looked_at: tuple[str, ...] = field(default=("capture",))


def inside(view: View, wave: Wave, came: Sighting | None, missing: Stop, *, timeout: float) -> Reason:
    """A packet that came in to `view` and was not seen at `missing`, the stop where it should go out."""
    what = f"the {wave.name}"
    took = f"took {what} in on {came.interface}" if came is not None else f"sent no {wave.name}"
    elsewhere = [seen for seen in wave.sightings if seen.vantage == missing.vantage and seen.way == "out"]
    if elsewhere:
        return _went_elsewhere(view, wave, elsewhere[-1], missing, took)
    owner = view.owner if view.is_network else ""
    if not view.after.forwards and came is not None:
        return Reason(f"{took} and does not forward at all (net.ipv4.ip_forward is 0)", owner or NODE, ("sysctl",))
    if view.drops:
        rule = view.drops[0]
        return Reason(f"{took} and dropped it: {rule}", owner or rule.owner, ("capture", "nft list ruleset"))
    if missing.interface and not view.after.is_up(missing.interface):
        state = "is gone" if view.after.is_up(missing.interface) is None else "is down"
        said = f"{took} and passed it on to nobody: {missing.interface}, the pod's interface here, {state}"
        return Reason(said, CNI, ("capture", "ip link"))
    return _by_routing(view, wave, came, missing, took, timeout=timeout)


def _went_elsewhere(view: View, wave: Wave, seen: Sighting, missing: Stop, took: str) -> Reason:
    far = seen.packet.source if wave.is_answer else seen.packet.destination
    if missing.beside and far == missing.beside:
        said = f"{took} and sent it out of {seen.interface} untranslated, still to {far}"
        return Reason(said, PROXY)
    if missing.only and far != missing.only:
        said = f"{took} and sent it out of {seen.interface} as from {far}, not translated back to {missing.only}"
        return Reason(said, PROXY)
    said = f"{took} and sent it out of {seen.interface} instead of {missing.interface}, where the pod is"
    return Reason(f"{said}: a wrong or missing route", CNI, ("capture", "ip route"))


def _by_routing(view: View, wave: Wave, came: Sighting | None, missing: Stop, took: str, *, timeout: float) -> Reason:
    """Nothing there says that it dropped the packet: where would it have gone?"""
    owner = view.owner if view.is_network else CNI
    to, source, device = _ends(wave, came)
    if to and not (missing.beside and to == missing.beside):
        try:
            route = view.route(to, source, device, timeout)
        except HarnessError:
            route = None
        if route is not None and route.refusal:
            return Reason(f"{took} and has no route to {to} ({route.refusal})", owner, ("capture", "ip route get"))
        if route is not None and missing.interface and not view.after.leads_to(route.device, missing.interface):
            said = f"{took} and routes it to {route}, and not to {missing.interface}, where the pod is"
            return Reason(said, owner, ("capture", "ip route get"))
        if route is not None and view.after.is_up(route.device) is False:
            return Reason(f"{took}; its {route.device} is down", owner, ("capture", "ip link"))
        if route is not None:
            _, state = view.after.neighbour(route.gateway or to, route.device)
            if "FAILED" in state or "INCOMPLETE" in state:
                said = f"{took}, and nobody on {route.device} answers for {route.gateway or to} ({state})"
                return Reason(said, owner, ("capture", "ip neigh"))
    return _suspects(view, took)


def _suspects(view: View, took: str) -> Reason:
    """Rules that do not count and queues that may lose packets: named, because one of them it may be."""
    found: Sequence[Rule] = view.possible_drops
    if found:
        owner = view.owner if view.is_network else found[0].owner
        words = "; ".join(str(rule) for rule in found[:2])
        return Reason(f"{took} and passed it on to nobody; what may drop it: {words}", owner, ("nft list ruleset",))
    if view.after.traffic_control:
        words = view.after.traffic_control[0]
        return Reason(f"{took} and passed it on to nobody; traffic control: {words}", view.owner, ("tc qdisc",))
    return Reason(f"{took} and passed it on to nobody", view.owner)


def local(view: View, wave: Wave, missing: Stop, to: str, *, timeout: float) -> Reason:
    """A packet for `to` that was made on `view` itself and was not seen at `missing`, where it should leave."""
    elsewhere = [seen for seen in wave.sightings if seen.vantage == missing.vantage and seen.way == "out"]
    if elsewhere:
        return _went_elsewhere(view, wave, elsewhere[-1], missing, f"made the {wave.name}")
    if view.drops:
        said = f"dropped the {wave.name} on its way out: {view.drops[0]}"
        return Reason(said, view.drops[0].owner, ("capture", "nft list ruleset"))
    with contextlib.suppress(HarnessError):
        route = view.route(to, "", "", timeout)
        if route.refusal:
            return Reason(f"has no route to {to} ({route.refusal})", CNI, ("capture", "ip route get"))
    return _suspects(view, f"made the {wave.name}")


def between(
    sender: View, receiver: View, wave: Wave, left: Sighting, goal: Sequence[str], *, timeout: float
) -> tuple[bool, Reason]:
    """A packet that went out of `sender` and was not seen coming in to `receiver`: (is the sender to blame, why).

    `goal` are the addresses of the machine at the far end: what a piece of network sends elsewhere is a wrong route.
    """
    what = f"the {wave.name} went out of {left.interface}"
    lost = [seen for seen in wave.sightings if seen.vantage == receiver.key and seen.packet.is_misaddressed]
    if lost:
        said = f"{what} addressed to the MAC of another machine: a wrong neighbour entry"
        owner = sender.owner if sender.is_network else CNI
        return True, Reason(said, owner, ("capture", "ip neigh"))
    link = sender.after.links.get(left.interface, {})
    uplinks = {line.split()[line.split().index("dev") + 1] for line in _default_routes(sender)}
    if not sender.is_network and "link_netnsid" in link and uplinks and left.interface not in uplinks:
        return True, Reason(f"{what} and not of {', '.join(uplinks)}: a wrong route", CNI, ("capture", "ip route"))
    if sender.is_network and goal:
        with contextlib.suppress(HarnessError):
            right = sender.route(goal[0], "", "", timeout)
            if right.device and right.device != left.interface:
                said = f"{what}, while its way to {goal[0]} is {right.device}: a wrong route"
                return True, Reason(said, sender.owner, ("capture", "ip route get"))
    down = [name for name, link in receiver.after.links.items() if name != "lo" and "UP" not in link.get("flags", ())]
    if receiver.is_network and down:
        return False, Reason(f"its {down[0]} is down", receiver.owner, ("ip link",))
    owner = receiver.owner if receiver.is_network else sender.owner if sender.is_network else "cloud network"
    return False, Reason(f"{what} of {sender} and never came in here", owner)


def rejection(view: View | None, seen: Sighting, speaker: str) -> Reason:
    """A reset or an ICMP error that somebody on the way made."""
    packet = seen.packet
    words = "a TCP reset" if packet.icmp is None else f"ICMP {_ICMP.get(packet.icmp, f'{packet.icmp}')}"
    if view is None:
        return Reason(f"{words} from {speaker}", "the pod itself")
    if view.drops:
        rule = view.drops[0]
        owner = view.owner if view.is_network else rule.owner
        return Reason(f"answered with {words}: {rule}", owner, ("capture", "nft list ruleset"))
    owner = view.owner if view.is_network else NODE
    if packet.icmp in ((3, 0), (3, 1)):
        return Reason(f"answered with {words}: it has no way to {_quoted(seen)}", owner if view.is_network else CNI)
    return Reason(f"answered with {words}", owner)


def translation(view: View, before: str, after: str) -> Reason:
    """A source that was changed on `view`."""
    rules = view.translations
    foreign = [rule for rule in rules if rule.owner != PROXY] or list(rules)
    said = f"changed the source from {before} to {after}"
    if view.is_network:
        return Reason(said, view.owner)
    if not foreign:
        return Reason(said, CNI)
    owner = "CNI, or whoever made that rule" if foreign[0].owner.startswith("node") else foreign[0].owner
    return Reason(f"{said}: {foreign[0]}", owner, ("capture", "nft list ruleset"))


def _ends(wave: Wave, came: Sighting | None) -> tuple[str, str, str]:
    """(destination, source, device) of what a vantage has to route."""
    seen = came or next(iter(wave.sightings), None)
    if seen is None:
        return "", "", ""
    return seen.packet.destination, seen.packet.source, came.interface if came is not None else ""


def _quoted(seen: Sighting) -> str:
    return seen.packet.quoted.destination if seen.packet.quoted is not None else "the target"


def _default_routes(view: View) -> list[str]:
    return [line for line in view.after.outputs.get("routes", "").splitlines() if line.startswith("default ")]
