"""The walk along the path of one failed pair: name, Service rule, endpoint, client, machines, network, listener.

The capture decides: the first hop that took a packet of the repeated probe and did not pass it on is the broken one.
What that hop looks like only says why. Without a capture, what the hops look like is all there is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings import evidence
from kip_conformance.infra.findings.finding import Finding, Hop
from kip_conformance.infra.findings.judgement import Judgement, Way
from kip_conformance.infra.findings.links import host_interface
from kip_conformance.infra.findings.looks import View
from kip_conformance.infra.findings.path import Leg, way_there
from kip_conformance.infra.findings.repeat import Repeated, repeat
from kip_conformance.infra.findings.scene import Case, OutOfTime, Scene
from kip_conformance.infra.findings.service import resolved, service_hops
from kip_conformance.infra.targets.protocol import Place

__all__ = ["walk"]


def walk(case: Case, scene: Scene, root: Path, folder: Path) -> Finding:
    """Walk the path of `case`; evidence goes into `folder`, which is below `root`.

    Never raises for what the cluster or its machines are like: a hop that cannot be looked at says so.
    """
    began = time.monotonic()
    hops: list[Hop] = []
    files: dict[str, bytes] = {}
    otherwise = "no hop is found broken"
    try:
        otherwise = _walk(case, scene, hops, files)
    except OutOfTime as error:
        hops.append(Hop("rest of the path", "everywhere", "nothing", None, str(error)))
    except HarnessError as error:
        hops.append(Hop("rest of the path", "everywhere", "nothing", None, str(error)))
    finding = Finding.of(case.client.name, case.server, tuple(hops), otherwise)
    files = {"path.txt": f"{finding.text()}\n".encode(), **files}
    try:
        kept = evidence.keep(root, folder, files)
    except OSError as error:
        kept = ()
        finding = replace(finding, hops=(*finding.hops, Hop("evidence", "this run", "disk", None, str(error))))
    return replace(finding, evidence=kept, seconds=time.monotonic() - began)


def _walk(case: Case, scene: Scene, hops: list[Hop], files: dict[str, bytes]) -> str:
    """Fill in hops and files as they become known; returns the headline for when no hop is broken."""
    case, name = resolved(case, scene)
    hops += [name] if name is not None else []
    if name is not None and name.ok is not True:
        return name.said
    target, client = case.target, case.client
    peers = [scene.places[peer] for peer in target.peers if peer in scene.places]
    direct = next((peer for peer in peers if peer.address == target.address), None)
    translator = "" if direct is not None else scene.machine_at(target.address) or client.machine
    found = None
    if translator:
        before, found = service_hops(case, scene, translator)
        hops += before
    if case.is_never_chosen:
        return f"no hop is found broken; {case.server} was not chosen by chance, or by a rule that prefers others"
    candidates = {peer.machine: peer for peer in ([direct] if direct is not None else peers)}
    legs = {machine: _legs(scene, client.machine, translator, machine) for machine in candidates}
    keys = dict.fromkeys(key for legs_ in legs.values() for leg in legs_ for key in (leg.machine, *leg.before))
    views = [view for key in keys if (view := scene.machine_view(key) or scene.views.get(key)) is not None]
    endpoints = [peer.address for peer in peers] + [address for address, _ in found or ()]
    repeated = repeat(case, scene, views, endpoints)
    _collect(files, views, repeated)
    if not repeated.is_same:
        return f"the same probe passed when it was repeated ({repeated.tries} times): it fails at times only"
    peer, port = _chosen(case, scene, repeated, direct, peers)
    if peer is None:
        said = f"turned into {port}, which is no endpoint of this Service"
        _replace(hops, Hop("endpoint", translator, "capture", False, said, "service proxy"))
        return said
    if peer.machine not in legs:
        legs[peer.machine] = _legs(scene, client.machine, translator, peer.machine)
    way = Way(
        client,
        peer,
        legs[peer.machine],
        way_there(
            legs[peer.machine],
            client_interface=host_interface(scene, client, views),
            server_interface=host_interface(scene, peer, views),
            translated_at=_index(legs[peer.machine], translator),
            address=target.address,
        ),
    )
    judged = Judgement(case, scene, repeated, way).hops()
    if translator and _was_translated(case, repeated):
        hops[:] = [_passed(hop) for hop in hops]
    hops += judged
    return "no hop is found broken, though the probe failed again"


def _legs(scene: Scene, client: str, translator: str, server: str) -> tuple[Leg, ...]:
    """The machines from `client` to `server`, over the one that translates if that is another."""
    names = list(dict.fromkeys([client, *([translator] if translator else []), server]))
    if names[-1] != server:  # back to where it came from, over the translator
        names.append(server)
    return tuple(
        Leg(name, scene.network_views(names[index - 1], name) if index else ()) for index, name in enumerate(names)
    )


def _index(legs: tuple[Leg, ...], translator: str) -> int | None:
    return next((index for index, leg in enumerate(legs) if leg.machine == translator), None) if translator else None


def _chosen(
    case: Case, scene: Scene, repeated: Repeated, direct: Place | None, peers: list[Place]
) -> tuple[Place | None, str]:
    """The place that the probe was led to; None and its address when that is no peer."""
    if direct is not None:
        return direct, ""
    led_to = [end for end in repeated.trace.destinations() if end[0] != case.target.address]
    if not led_to:
        return next((peer for peer in peers if peer.name == case.server), peers[0] if peers else case.client), ""
    address, port = led_to[-1]
    place = scene.place_at(address, case.target.peers)
    known = place if place is not None and place.name in case.target.peers else None
    return known, f"{address}:{port}"


def _was_translated(case: Case, repeated: Repeated) -> bool:
    return any(address != case.target.address for address, _ in repeated.trace.destinations())


def _passed(hop: Hop) -> Hop:
    """A hop before the packet that the packet itself has passed: it was translated, to an endpoint that is expected."""
    if hop.ok is False and hop.name in ("service rule", "endpoint"):
        return replace(hop, ok=True, said=f"{hop.said}; all the same, the repeated probe was led to an endpoint")
    return hop


def _replace(hops: list[Hop], hop: Hop) -> None:
    hops[:] = [*(other for other in hops if other.name != hop.name), hop]


def _collect(files: dict[str, bytes], views: list[View], repeated: Repeated) -> None:
    for view in views:
        name = evidence.folder_name(view.key)
        if len(repeated.captures.get(view.key, b"")) > 24:
            files[f"{name}.pcap"] = repeated.captures[view.key]
        if view.after.outputs:
            files[f"{name}.txt"] = view.after.text().encode()
