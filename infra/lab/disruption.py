"""Taking something away from a lab's machine for a while, and giving it back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["cut_off"]

_TABLE = "kip_disruption"
_NFT = ("nft", "-f", "-")


@contextmanager
def cut_off(machine: Machine, address: str, port: int) -> Iterator[None]:
    """A TCP server is out of reach of the machine and its pods for the length of the block, as if it were down.

    Packets are lost both ways, so that connections of before neither end nor carry anything; they go on afterwards,
    when the next retransmission comes. Raises HarnessError when that cannot be set up or taken back.
    """
    there, back = f"ip daddr {address} tcp dport {port} drop", f"ip saddr {address} tcp sport {port} drop"
    chains = "\n".join(
        f"chain {hook} {{ type filter hook {hook} priority -300; policy accept; {rules}; }}"
        for hook, rules in {"output": there, "input": back, "forward": f"{there}; {back}"}.items()
    )
    run_checked(machine, _NFT, stdin=f"table ip {_TABLE} {{\n{chains}\n}}\n".encode())
    try:
        yield
    finally:
        run_checked(machine, _NFT, stdin=f"delete table ip {_TABLE}\n".encode())
