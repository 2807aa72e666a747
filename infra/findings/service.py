"""The hops before any packet: the name, the Service's rule on the machine that translates, and the endpoints behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.finding import Hop
from kip_conformance.infra.findings.scene import Case, Scene
from kip_conformance.infra.machines.service_rules import Endpoint, read_endpoints

__all__ = ["resolved", "service_hops"]

PROXY = "service proxy"


def resolved(case: Case, scene: Scene) -> tuple[Case, Hop | None]:
    """The case with an address as its target, and the hop that a name was; None when it was none."""
    name = case.target.address
    try:
        ip_address(name)
    except ValueError:
        pass
    else:
        return case, None
    try:
        answer = scene.driver.resolve(case.client, name, timeout=scene.deadline.share())
    except HarnessError as error:
        return case, Hop("name", case.client.name, "resolution in the client", None, str(error))
    if not answer.addresses:
        said = (
            f"{name} does not resolve: {answer.rcode or answer.error or 'no answer'} from {answer.server or 'nobody'}"
        )
        return case, Hop("name", case.client.name, "resolution in the client", False, said, "DNS")
    hop = Hop("name", case.client.name, "resolution in the client", True, f"{name} is {', '.join(answer.addresses)}")
    return replace(case, target=replace(case.target, address=answer.addresses[0])), hop


def service_hops(case: Case, scene: Scene, machine: str) -> tuple[tuple[Hop, ...], frozenset[Endpoint] | None]:
    """The rule on the machine that turns the target into an endpoint, and whether it leads to those expected."""
    target, looked_at = case.target, f"rules of the service proxy ({scene.mode})"
    words = f"{target.address}:{target.port}/{target.protocol}"
    if machine not in scene.machines:
        return (Hop("service rule", machine, looked_at, None, "this machine cannot be looked into"),), None
    if scene.machine_at(target.address):
        return (Hop("service rule", machine, looked_at, None, "rules for NodePorts are not read"),), None
    try:
        found = read_endpoints(scene.machines[machine], scene.mode, target.address, target.port, target.protocol)
    except HarnessError as error:
        return (Hop("service rule", machine, looked_at, None, str(error)),), None
    if found is None:
        return (Hop("service rule", machine, looked_at, False, f"there is no rule for {words}", PROXY),), None
    if not found:
        said = f"the rule for {words} leads to no endpoint"
        return (Hop("service rule", machine, looked_at, False, said, PROXY),), found
    rule = Hop("service rule", machine, looked_at, True, f"{words} leads to {_listed(found)}")
    return (rule, _endpoint_hop(case, scene, machine, looked_at, found)), found


def _endpoint_hop(case: Case, scene: Scene, machine: str, looked_at: str, found: frozenset[Endpoint]) -> Hop:
    expected = {scene.places[name].address: name for name in case.target.peers if name in scene.places}
    addresses = {address for address, _ in found}
    strangers = sorted(endpoint for endpoint in found if endpoint[0] not in expected)
    missing = [name for address, name in expected.items() if address not in addresses]
    if case.server in expected.values():
        missing = [name for name in missing if name == case.server]
    ports = {port for _, port in found}
    backend = case.target.backend_port
    if strangers:
        said = f"the rule leads to {_listed(strangers)}, no endpoint of this Service"
    elif missing:
        said = f"the rule does not lead to {', '.join(missing)} ({_listed(found)} only)"
    elif backend and backend not in ports:
        said = f"the rule leads to port {', '.join(map(str, sorted(ports)))}, the endpoints listen on {backend}"
    else:
        return Hop("endpoint", machine, looked_at, True, f"all {len(found)} are endpoints of this Service")
    return Hop("endpoint", machine, looked_at, False, said, PROXY)


def _listed(endpoints: Sequence[Endpoint] | frozenset[Endpoint]) -> str:
    ordered = [f"{address}:{port}" for address, port in sorted(endpoints)]
    return ", ".join(ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")
