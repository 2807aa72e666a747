"""Which addresses are free: private ones of a subnet, and public ones of the pool.

Nothing is counted or kept: what interfaces and allocations have is taken, so this cannot disagree with them. Five
addresses of each subnet are reserved: the first four and the last ("Amazon VPC User Guide, Subnet CIDR blocks").
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from socket import inet_aton
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal
from kip_conformance.infra.cloud.api.settings import Settings

__all__ = ["check_free", "free_count", "free_public", "network_of", "take_free", "taken_in", "taken_public"]

RESERVED = 5


def network_of(subnet: Any) -> IPv4Network:
    """The subnet's range."""
    return IPv4Network(subnet.cidr_block, strict=False)


def taken_in(backend: Any, subnet: Any) -> set[str]:
    """The addresses that interfaces have in the subnet."""
    return {
        entry["PrivateIpAddress"]
        for eni in backend.enis.values()
        if eni.subnet.id == subnet.id
        for entry in eni.private_ip_addresses
    }


def free_count(backend: Any, subnet: Any) -> int:
    """How many addresses of the subnet can still be given."""
    return network_of(subnet).num_addresses - RESERVED - len(taken_in(backend, subnet))


def check_free(backend: Any, subnet: Any, address: str, *, besides: Sequence[str] = ()) -> None:
    """Whether this address may be given; `besides` are taken by the same call.

    Raises Refusal: InvalidParameterValue when it is no address or outside or reserved, InvalidIPAddress.InUse when
    another has it.
    """
    network = network_of(subnet)
    try:
        wanted = IPv4Address(address)
    except ValueError as error:
        raise Refusal("InvalidParameterValue", f"invalid value for parameter address: {address}") from error
    if wanted not in network:
        raise Refusal("InvalidParameterValue", "Address does not fall within the subnet's address range")
    offset = int(wanted) - int(network.network_address)
    if offset < RESERVED - 1 or wanted == network.broadcast_address:
        raise Refusal("InvalidParameterValue", "Address is in subnet's reserved address range")
    if str(wanted) in taken_in(backend, subnet) or address in besides:
        raise Refusal("InvalidIPAddress.InUse", f"Address {address} is in use.")


def take_free(backend: Any, subnet: Any, count: int, *, besides: Sequence[str] = ()) -> list[str]:
    """So many free addresses, the lowest first.

    Raises Refusal (InsufficientFreeAddressesInSubnet) when there are fewer.
    """
    taken = {int.from_bytes(inet_aton(one)) for one in (*taken_in(backend, subnet), *besides)}
    network = network_of(subnet)
    usable = range(int(network.network_address) + RESERVED - 1, int(network.broadcast_address))
    found = [str(IPv4Address(one)) for one in itertools.islice((one for one in usable if one not in taken), count)]
    if len(found) < count:
        raise Refusal(
            "InsufficientFreeAddressesInSubnet",
            f"The specified subnet '{subnet.id}' does not have enough free addresses to satisfy the request.",
        )
    return found


def free_public(backend: Any, settings: Settings, count: int = 1, *, last: bool = False) -> list[str]:
    """So many public addresses, the lowest or the highest first.

    Raises Refusal (InsufficientAddressCapacity) when the pool has fewer.
    """
    taken = taken_public(backend)
    pool = list(IPv4Network(settings.public_pool).hosts())
    found = [str(one) for one in (reversed(pool) if last else pool) if str(one) not in taken][:count]
    if len(found) < count:
        raise Refusal("InsufficientAddressCapacity", "Not enough available addresses to satisfy your request.", 500)
    return found


def taken_public(backend: Any) -> set[str]:
    """The public addresses that something has."""
    taken = {one.public_ip for one in backend.addresses}
    taken |= {eni.public_ip for eni in backend.enis.values() if eni.public_ip}
    return taken | {
        tunnel["OutsideIpAddress"]
        for one in backend.vpn_connections.values()
        if one.state != "deleted"
        for tunnel in getattr(one, "kip_tunnels", [])
    }
