"""How many interfaces and addresses an instance type has ("Amazon EC2 User Guide, IP addresses per network interface
per instance type"), and which types exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from kip_conformance.infra.cloud.api.call import Refusal
from moto.ec2.models.instance_types import INSTANCE_TYPES

__all__ = ["Limits", "check_type", "limits_of"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most network interfaces of an instance, and the most IPv4 addresses of each of them."""

    interfaces: int
    addresses: int


LIMITS = {
    "t2.micro": Limits(2, 2), "t2.small": Limits(3, 4), "t2.medium": Limits(3, 6),
    "t3.nano": Limits(2, 2), "t3.micro": Limits(2, 2), "t3.small": Limits(3, 4), "t3.medium": Limits(3, 6),
    "t3.large": Limits(3, 12), "t3.xlarge": Limits(4, 15),
    "t4g.nano": Limits(2, 2), "t4g.small": Limits(3, 4), "t4g.medium": Limits(3, 6),
    "m1.small": Limits(2, 4), "m5.large": Limits(3, 10), "m5.xlarge": Limits(4, 15), "m6i.large": Limits(3, 10),
    "c5.large": Limits(3, 10), "c5.xlarge": Limits(4, 15), "c5.4xlarge": Limits(8, 30), "r5.large": Limits(3, 10),
}  # fmt: skip


def check_type(instance_type: str) -> None:
    """Raises Refusal (InvalidParameterValue) when no such type exists."""
    if instance_type not in INSTANCE_TYPES:
        raise Refusal("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")


def limits_of(instance_type: str) -> Limits:
    """The type's limits: of the table above, else of what moto knows of the type."""
    if instance_type in LIMITS:
        return LIMITS[instance_type]
    known = INSTANCE_TYPES.get(instance_type, {}).get("NetworkInfo", {})
    return Limits(int(known.get("MaximumNetworkInterfaces", 2)), int(known.get("Ipv4AddressesPerInterface", 2)))
