"""What leaves machines by their own network interface: captures on several machines at once, read while they run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.packets import Packet, each_packet
from kip_conformance.infra.targets.protocol import Capture, Machine

__all__ = ["Wire", "network_interface", "watched"]


@dataclass(frozen=True, slots=True)
class Wire:
    """Running captures by machine."""

    captures: Mapping[str, Capture]

    def to(self, address: str, *, port: int) -> Mapping[str, tuple[Packet, ...]]:
        """By machine, the packets to this address and port that have crossed its interface so far."""
        return {
            name: tuple(
                packet
                for packet in each_packet(capture.so_far())
                if packet.destination == address and packet.destination_port == port
            )
            for name, capture in self.captures.items()
        }

    def is_seen_everywhere(self, addresses: Sequence[str], *, port: int) -> bool:
        """Whether on every machine a packet to some of these addresses has been seen: the captures do see."""
        wanted = {(address, port) for address in addresses}
        return all(
            any((packet.destination, packet.destination_port) in wanted for packet in each_packet(capture.so_far()))
            for capture in self.captures.values()
        )


@contextmanager
def watched(machines: Sequence[Machine], expression: str) -> Iterator[Wire]:
    """Capture what matches a pcap-filter(7) expression on the network interface of each machine.

    Raises HarnessError when a capture does not start.
    """
    with ExitStack() as stack:
        yield Wire(
            {
                machine.name: stack.enter_context(machine.capture(expression, interface=network_interface(machine)))
                for machine in machines
            }
        )


def network_interface(machine: Machine) -> str:
    """The name of the interface that carries the machine's first address. Raises HarnessError when there is none."""
    done = machine.run(["ip", "-j", "-4", "addr", "show"])
    interfaces = json.loads(done.stdout or b"[]") if done.returncode == 0 else []
    for interface in interfaces:
        if any(entry.get("local") == machine.addresses[0] for entry in interface.get("addr_info", ())):
            return str(interface["ifname"])
    raise HarnessError(f"{machine.name}: no interface carries its address {machine.addresses[0]}")
