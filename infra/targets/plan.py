"""The places that a run plans for, known before any cluster is: names, kinds and machines, but no address.

`--collect-only`, the controller and every worker agree on them; one that is absent at run time is not-runnable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kip_conformance.infra.errors import UsageError

__all__ = ["ALL", "FOUNDATION", "FURTHER", "PlannedPlace", "parse_pair", "planned_places"]


@dataclass(frozen=True, slots=True)
class PlannedPlace:
    """A place to be; `machine` is the name of the machine that it is on.

    `host` is a machine that is a node of the cluster, `plain` one that is not. `node` is the virtual node that its pod
    is bound to: such a pod has a machine of its own.
    """

    name: str
    kind: Literal["pod", "hostnet", "host", "plain"]
    machine: str
    node: str = ""


FOUNDATION = (
    PlannedPlace("node-a", "pod", "node-a"),
    PlannedPlace("node-a-2", "pod", "node-a"),
    PlannedPlace("node-b", "pod", "node-b"),
    PlannedPlace("node-b-2", "pod", "node-b"),
    PlannedPlace("hostnet-a", "hostnet", "node-a"),
    PlannedPlace("hostnet-b", "hostnet", "node-b"),
    PlannedPlace("host-a", "host", "node-a"),
    PlannedPlace("host-b", "host", "node-b"),
)


ALL = "all"

FURTHER = (
    PlannedPlace("on-prem-node", "pod", "on-prem-node"),
    PlannedPlace("on-prem-node-2", "pod", "on-prem-node"),
    PlannedPlace("hostnet-on-prem", "hostnet", "on-prem-node"),
    PlannedPlace("host-on-prem", "host", "on-prem-node"),
    PlannedPlace("on-prem-host", "plain", "on-prem-host"),
    PlannedPlace("cell-a", "pod", "cell-a", "kip-node"),
    PlannedPlace("cell-b", "pod", "cell-b", "kip-node"),
    PlannedPlace("cell-private", "pod", "cell-private", "kip-private"),
)
"""Places of a run that names them: the site on premises, and cells of virtual nodes."""


def planned_places(names: Sequence[str] = ()) -> tuple[PlannedPlace, ...]:
    """The foundation, and the further places with these names, in the order of the plan; "all" is every one of them.

    Raises UsageError naming what is unknown and what is known.
    """
    known = [place.name for place in FURTHER]
    for name in names:
        if name not in (*known, ALL):
            raise UsageError(f"place {name!r}: unknown; known beside the foundation's: {', '.join(known)}, {ALL}")
    return (*FOUNDATION, *(place for place in FURTHER if place.name in names or ALL in names))


def parse_pair(text: str, places: Sequence[PlannedPlace] = FOUNDATION) -> tuple[str, str]:
    """Split `CLIENT-to-SERVER` into two known names. Raises UsageError naming what is unknown and what is known."""
    known = [place.name for place in places]
    client, separator, server = text.partition("-to-")
    if not separator:
        raise UsageError(f"pair {text!r}: expected CLIENT-to-SERVER, for example {known[0]}-to-{known[-1]}")
    for name in (client, server):
        if name not in known:
            raise UsageError(f"pair {text!r}: unknown place {name!r}; known: {', '.join(known)}")
    return client, server
