"""What a vantage (a machine, a NIC, a router) has to say about a packet that it did not pass on. Read only.

One look is one command; two looks, before and after the probe, tell which rules acted.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.findings.rules import Rule, droppers, hits, translators
from kip_conformance.infra.machines.inspection import host_of
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["Look", "Route", "View"]

_SECTION = "=== "
_COMMANDS = {
    "links": "ip -j link show",
    "addresses": "ip -br address show",
    "routes": "ip route show table all",
    "rules": "ip rule show",
    "neighbours": "ip -j neigh show",
    "ruleset": "nft list ruleset",
    "qdiscs": "tc qdisc show",
    "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
    "rp_filter": "grep -H . /proc/sys/net/ipv4/conf/*/rp_filter",
}
# What `ip route get` says of a route whose type is not unicast.
_REFUSALS = {"Invalid argument": "a blackhole route", "Permission denied": "a prohibiting route"}


@dataclass(frozen=True, slots=True)
class Route:
    """Where `ip route get` leads: a device and a next hop (empty: on the link); or why it leads nowhere."""

    device: str = ""
    gateway: str = ""
    refusal: str = ""

    def __str__(self) -> str:
        return self.refusal or f"{self.device}{f' via {self.gateway}' if self.gateway else ''}"


@dataclass(frozen=True)
class Look:
    """One look at a vantage: the output of each command, by name."""

    outputs: Mapping[str, str]

    def text(self) -> str:
        """Everything, as it is kept as evidence."""
        return "".join(f"{_SECTION}{_COMMANDS[name]}\n{output.rstrip()}\n\n" for name, output in self.outputs.items())

    @cached_property
    def links(self) -> dict[str, dict[str, Any]]:
        return {str(link["ifname"]): link for link in _json(self.outputs.get("links", ""))}

    @cached_property
    def names(self) -> dict[int, str]:
        """The interfaces by index, as captures tell them."""
        return {int(link["ifindex"]): name for name, link in self.links.items()}

    def is_up(self, device: str) -> bool | None:
        """Whether a device is set up; None when there is none of that name."""
        link = self.links.get(device)
        return None if link is None else "UP" in link.get("flags", ())

    def leads_to(self, device: str, wanted: str) -> bool:
        """Whether what goes to `device` can come out of `wanted`: the same, or a port of the bridge."""
        return device == wanted or self.links.get(wanted, {}).get("master") == device

    def neighbour(self, address: str, device: str) -> tuple[str, str]:
        """(MAC, state) of a neighbour entry; empty strings when there is none."""
        for entry in _json(self.outputs.get("neighbours", "")):
            if entry.get("dst") == address and entry.get("dev") == device:
                return str(entry.get("lladdr", "")), " ".join(entry.get("state", ()))
        return "", ""

    @property
    def forwards(self) -> bool:
        return self.outputs.get("forwarding", "1").strip() != "0"

    @property
    def traffic_control(self) -> tuple[str, ...]:
        """The queueing disciplines that lose, delay or filter packets."""
        lines = self.outputs.get("qdiscs", "").splitlines()
        return tuple(
            line.strip() for line in lines if any(f" {kind} " in f"{line} " for kind in ("netem", "clsact", "ingress"))
        )


@dataclass
class View:
    """A vantage through which packets pass: a machine, or a piece of network between machines.

    `name` and `where` are the hop that it is, `owner` who would have to mend it; `before` and `after` the looks around
    the probe.
    """

    name: str
    where: str
    owner: str
    machine: Machine
    is_network: bool = False
    before: Look = field(default_factory=lambda: Look({}))
    after: Look = field(default_factory=lambda: Look({}))

    @property
    def key(self) -> str:
        return self.where if not self.is_network else f"{self.name} of {self.where}"

    def __str__(self) -> str:
        return self.key

    def look(self, timeout: float) -> Look:
        """Look now. Raises HarnessError when the vantage cannot be read within `timeout` seconds."""
        script = "\n".join(f"echo '{_SECTION}{name}'; {command} 2>&1" for name, command in _COMMANDS.items())
        said = host_of(self.machine, timeout=timeout).run(script).stdout
        outputs: dict[str, str] = {}
        for part in f"\n{said}".split(f"\n{_SECTION}")[1:]:
            name, _, output = part.partition("\n")
            outputs[name.strip()] = output
        if "links" not in outputs:
            raise HarnessError(f"{self.key} cannot be read: {said[:200]}")
        return Look(outputs)

    def route(self, to: str, source: str, device: str, timeout: float) -> Route:
        """Where a packet that came in on `device` (empty: made here) would go."""
        host = host_of(self.machine, timeout=timeout)
        origin = f" from {ipaddress.ip_address(source)} iif %s" if device else ""
        mark = self._mark(device)
        done = host.run(
            f"ip -j route get %s{origin}{f' mark {mark}' if mark else ''}", to, *([device] if device else [])
        )
        if done.rc != 0:
            words = (done.stderr.strip() or "no route").splitlines()[-1].removeprefix("RTNETLINK answers: ")
            return Route(refusal=_REFUSALS.get(words, words))
        (first, *_) = json.loads(done.stdout or "[{}]") or [{}]
        if first.get("type") in ("blackhole", "unreachable", "prohibit"):
            return Route(refusal=f"{first['type']} route")
        return Route(str(first.get("dev", "")), str(first.get("gateway", "")))

    @property
    def drops(self) -> tuple[Rule, ...]:
        """The rules that dropped or rejected something between the looks, as far as they count."""
        return tuple(rule for rule in self._hits() if rule.drops)

    @property
    def possible_drops(self) -> tuple[Rule, ...]:
        """The rules that may have: they do not count."""
        return droppers(self.after.outputs.get("ruleset", ""))

    @property
    def translations(self) -> tuple[Rule, ...]:
        """The rules that changed, or else may have changed, sources between the looks."""
        found = tuple(rule for rule in self._hits() if rule.translates)
        return found or translators(self.after.outputs.get("ruleset", ""))

    def _mark(self, device: str) -> str:
        """The mark that a map gives to whatever comes in on a device, for routers that choose tables by it."""
        found = re.search(rf'"{re.escape(device)}" : (0x[0-9a-f]+)', self.after.outputs.get("ruleset", ""))
        return found[1] if found and device else ""

    def _hits(self) -> tuple[Rule, ...]:
        return hits(self.before.outputs.get("ruleset", ""), self.after.outputs.get("ruleset", ""))


def _json(text: str) -> list[dict[str, Any]]:
    try:
        loaded = json.loads(text or "[]")
    except ValueError:
        return []
    return [entry for entry in loaded if entry] if isinstance(loaded, list) else []
