"""The rules of HostPorts in nftables: one table of our own, replaced as a whole in one transaction.

What comes in for a local address (prerouting) and what local programs ask for (output) is translated to the pod; what
was translated leaves with this machine's own address, because a pod on a cell would answer its client directly
otherwise, past the translation. Loopback clients need route_localnet, which opens 127.0.0.0/8 to the wire: that is
closed again by a rule.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import HarnessError

__all__ = ["TABLE", "Mapping", "apply", "forget_flows", "ruleset"]

_LOG = logging.getLogger(__name__)
TABLE = "kip-host-ports"
_MARK = "0x00400000"
"""A bit of the connection's mark that kube-proxy and CNI plug-ins leave alone (theirs are of the packet's mark)."""
_SETTINGS = ("net/ipv4/conf/all/route_localnet", "net/ipv4/ip_forward")


@dataclass(frozen=True, slots=True, order=True)
class Mapping:
    """`host_ip` is empty for every local address."""

    protocol: str
    host_ip: str
    port: int
    address: str
    target: int


def ruleset(mappings: Sequence[Mapping]) -> str:
    """What `nft -f` takes: the table as it should be; only its removal when there are no mappings."""
    # Named first, so that deleting it is no error when it is not there.
    remove = f"table ip {TABLE}\ndelete table ip {TABLE}\n"
    if not mappings:
        return remove
    rules = "\n".join(f"    {_rule(one)}" for one in sorted(mappings, key=lambda one: (not one.host_ip, one)))
    return f"""{remove}table ip {TABLE} {{
  chain to-pods {{
{rules}
  }}
  chain prerouting {{
    type nat hook prerouting priority -105
    fib daddr type local jump to-pods
  }}
  chain output {{
    type nat hook output priority -105
    fib daddr type local jump to-pods
  }}
  chain postrouting {{
    type nat hook postrouting priority 95
    ct mark and {_MARK} != 0 masquerade
  }}
  chain loopback-stays-here {{
    type filter hook prerouting priority -300
    iif != lo ip daddr 127.0.0.0/8 drop
  }}
}}
"""


def _rule(one: Mapping) -> str:
    match = f"ip daddr {one.host_ip} " if one.host_ip else ""
    mark = f"ct mark set ct mark or {_MARK}"
    return f"{match}{one.protocol} dport {one.port} {mark} dnat to {one.address}:{one.target}"


async def apply(mappings: Sequence[Mapping]) -> None:
    """Make the machine's rules so. Raises HarnessError with what nft says."""
    if mappings:
        for name in _SETTINGS:
            path = Path("/proc/sys", name)
            if path.read_text().strip() != "1":
                try:
                    path.write_text("1")
                except OSError as error:
                    _LOG.warning("%s is not 1 and cannot be set: %s", path, error.strerror)
    code, said = await _run("nft", "-f", "-", stdin=ruleset(mappings))
    if code:
        raise HarnessError(f"nft: {said.strip().splitlines()[0] if said.strip() else f'exit code {code}'}")


async def forget_flows(one: Mapping) -> None:
    """End what was translated by a mapping that is gone: a flow of UDP would go on to an address of nobody's."""
    words = ["-D", "-p", one.protocol, "--orig-port-dst", str(one.port), "--reply-src", one.address]
    code, said = await _run("conntrack", *words)
    if code and "0 flow entries" not in said:
        _LOG.info("conntrack: %s", said.strip())


async def _run(program: str, *words: str, stdin: str = "") -> tuple[int, str]:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(program, *words, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        return 127, f"{program}: {error.strerror}"
    _, said = await process.communicate(stdin.encode())
    return process.returncode or 0, said.decode(errors="replace")
