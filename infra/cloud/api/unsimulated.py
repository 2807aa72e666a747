"""What moto would take and nothing here would do: refused, so that nobody believes in it.

The page of facts about the simulated cloud lists the same things as not simulated.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal

__all__ = ["check_simulated"]

ACTIONS = {
    "*NetworkAcl*": "network ACLs", "*TransitGateway*": "transit gateways", "*EgressOnlyInternetGateway*": "IPv6",
    "*CarrierGateway*": "carrier gateways", "*Ipv6*": "IPv6", "*SubnetCidrBlock": "IPv6", "*TrafficMirror*":
    "traffic mirroring", "*FlowLogs": "flow logs", "RequestSpot*": "spot instances", "CreateFleet": "fleets",
    "*ClassicLink*": "EC2-Classic", "*SubnetCidrReservation": "CIDR reservations",
    "*EndpointServiceConfiguration*": "endpoint services of one's own",
}  # fmt: skip
READING = ("Describe", "Get", "List")
NAMES_OF_OTHER_THINGS = ("HttpProtocolIpv6", "AssignIpv6AddressOnCreation")


def check_simulated(action: str, params: Mapping[str, Any]) -> None:
    """Raises Refusal (UnsupportedOperation) when a call would change what is not simulated."""
    if action.startswith(READING):
        return
    for pattern, what in ACTIONS.items():
        if fnmatch.fnmatchcase(action, pattern):
            raise Refusal("UnsupportedOperation", f"{action}: not simulated: {what}")
    for given in (params, *(params.get("NetworkInterfaces") or [])):
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if "Ipv6" in name and name not in NAMES_OF_OTHER_THINGS and value:
                raise Refusal("UnsupportedOperation", f"{name}: not simulated: IPv6")
