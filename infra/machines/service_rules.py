"""Where the service proxy's own rules on a machine lead for a ClusterIP and port: iptables and nftables.

Read, not inferred from traffic: an endpoint that is chosen once in a thousand times is seen here at once. IPVS is
not here: its table is no chain of rules.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Machine

__all__ = ["Endpoint", "read_endpoints", "read_iptables", "read_nftables"]

Endpoint = tuple[str, int]
"""A podIP and the port there."""

_ENTRANCE = "KUBE-SERVICES"
_Rule = Mapping[str, str]


def read_endpoints(machine: Machine, mode: str, address: str, port: int, protocol: str) -> frozenset[Endpoint] | None:
    """The (podIP, port) pairs to which the proxy's rules on `machine` lead for this ClusterIP, port and protocol.

    None when no rule is about it at all; empty when there is one that rejects or drops it for want of endpoints.
    Raises HarnessError when the rules cannot be read, or lead to a chain that is not there.
    """
    known: dict[str, tuple[list[str], Callable[[str, str, int, str], frozenset[Endpoint] | None]]] = {
        "iptables": (["iptables-save"], read_iptables),
        "nftables": (["nft", "-j", "list", "table", "ip", "kube-proxy"], read_nftables),
    }
    if mode not in known:
        raise HarnessError(f"rules of proxy mode {mode} are not read here; those of {', '.join(known)} are")
    argv, read = known[mode]
    done = machine.run(argv)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise HarnessError(f"{machine.name}: {' '.join(argv)} ended with {done.returncode}: {said}")
    try:
        return read(done.stdout.decode(), address, port, protocol)
    except HarnessError as error:
        raise HarnessError(f"{machine.name}: {error}") from error


# -------------------------------------------------------------------------------------------------------- iptables


def read_iptables(saved: str, address: str, port: int, protocol: str) -> frozenset[Endpoint] | None:
    """The same from the output of iptables-save, all tables of it. Raises HarnessError for a chain that is missing."""
    tables = _iptables_tables(saved)
    nat = tables.get("nat", {})
    about = [rule for rule in nat.get(_ENTRANCE, ()) if _is_about(rule, address, port, protocol)]
    if about:
        return frozenset(_iptables_leads(nat, about))
    refused = [
        rule
        for chain in (_ENTRANCE, "KUBE-EXTERNAL-SERVICES")
        for rule in tables.get("filter", {}).get(chain, ())
        if _is_about(rule, address, port, protocol) and rule.get("-j") in ("REJECT", "DROP")
    ]
    return frozenset() if refused else None


def _iptables_tables(saved: str) -> dict[str, dict[str, list[_Rule]]]:
    tables: dict[str, dict[str, list[_Rule]]] = {}
    chains: dict[str, list[_Rule]] = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split()[0], [])
        elif line.startswith("-A "):
            words = shlex.split(line)
            chains.setdefault(words[1], []).append(_options(words[2:]))
    return tables


def _options(words: list[str]) -> _Rule:
    """Option -> value of one rule. A negated one is under "! option": it is about everything but its value."""
    found: dict[str, str] = {}
    for index, word in enumerate(words):
        if word.startswith("-"):
            is_negated = index > 0 and words[index - 1] == "!"
            following = words[index + 1] if index + 1 < len(words) else ""
            found[f"! {word}" if is_negated else word] = "" if following.startswith("-") else following
    return found


def _is_about(rule: _Rule, address: str, port: int, protocol: str) -> bool:
    return (
        rule.get("-d", "").removesuffix("/32") == address
        and rule.get("-p") == protocol
        and rule.get("--dport") == str(port)
    )


def _iptables_leads(chains: Mapping[str, list[_Rule]], rules: Iterable[_Rule]) -> Iterator[Endpoint]:
    """Every destination of a DNAT that can be reached from these rules. Chains of kube-proxy never form a circle."""
    for rule in rules:
        target = rule.get("-j") or rule.get("-g") or ""
        if target == "DNAT":
            yield _endpoint(rule.get("--to-destination", ""))
        elif target.startswith("KUBE-"):
            if target not in chains:
                raise HarnessError(f"the nat rules lead to chain {target}, which is not there")
            yield from _iptables_leads(chains, chains[target])


def _endpoint(text: str) -> Endpoint:
    address, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal():
        raise HarnessError(f"a DNAT rule has the destination {text!r}, which is no address and port")
    return address, int(port)


# -------------------------------------------------------------------------------------------------------- nftables


def read_nftables(listed: str, address: str, port: int, protocol: str) -> frozenset[Endpoint] | None:
    """The same from the JSON of table `ip kube-proxy`. Raises HarnessError for a chain or map that is missing."""
    try:
        objects = json.loads(listed)["nftables"]
    except (ValueError, KeyError) as error:
        raise HarnessError(f"nft printed no table ({error})") from error
    maps = {entry["map"]["name"]: entry["map"].get("elem", []) for entry in objects if "map" in entry}
    chains: dict[str, list[Any]] = {entry["chain"]["name"]: [] for entry in objects if "chain" in entry}
    for entry in objects:
        if "rule" in entry:
            chains[entry["rule"]["chain"]].append(entry["rule"]["expr"])
    for name in ("service-ips", "no-endpoint-services"):
        if name not in maps:
            raise HarnessError(f"table ip kube-proxy has no map {name}")
    wanted = [address, protocol, port]
    verdicts = [verdict for key, verdict in maps["service-ips"] if _concatenated(key) == wanted]
    if verdicts:
        return frozenset(_nftables_leads(chains, verdicts))
    refused = any(_concatenated(key) == wanted for key, _ in maps["no-endpoint-services"])
    return frozenset() if refused else None


def _concatenated(key: Any) -> Any:
    """The parts of a map's key, which stands bare or, with a comment, inside of an element."""
    bare = key["elem"]["val"] if "elem" in key else key
    return bare.get("concat")


def _nftables_leads(chains: Mapping[str, list[Any]], expression: Any) -> Iterator[Endpoint]:
    """Every destination of a dnat that can be reached from an expression: statements, verdicts, maps inside of them."""
    if isinstance(expression, list):
        for part in expression:
            yield from _nftables_leads(chains, part)
    elif isinstance(expression, dict):
        for word, value in expression.items():
            if word == "dnat":
                yield from _destinations(value)
            elif word in ("goto", "jump"):
                target = value["target"]
                if target not in chains:
                    raise HarnessError(f"the rules lead to chain {target}, which is not there")
                yield from _nftables_leads(chains, chains[target])
            else:
                yield from _nftables_leads(chains, value)


def _destinations(dnat: Mapping[str, Any]) -> Iterator[Endpoint]:
    """Of `dnat to ADDRESS:PORT`, and of `dnat to numgen random mod N map { 0 : ADDRESS . PORT, … }`."""
    address = dnat["addr"]
    if isinstance(address, str):
        yield address, int(dnat["port"])
        return
    try:
        for _, value in address["map"]["data"]["set"]:
            found, port = value["concat"]
            yield found, int(port)
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"a dnat rule in a form that is not read here: {json.dumps(dnat)}") from error
