"""Which packet-filter and translation rules acted between two looks at `nft list ruleset`. Pure text in, values out.

iptables rules (its nf_tables variant) are in that listing as well, and always count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Rule", "droppers", "hits", "read_rules", "translators"]

_COUNTER = re.compile(r"counter packets (\d+) bytes \d+ ?")
_QUOTED = re.compile(r'"[^"]*"')
_DROPS = re.compile(r"\b(drop|reject)\b")
_TRANSLATES = re.compile(r"\b(masquerade|snat to|snat ip to)|xt target \"?(MASQUERADE|SNAT)")
_CHAIN = re.compile(r"^\s*chain (\S+) \{")
_HOOK = re.compile(r"type \w+ hook (\w+)(?: device \S+)? priority [^;]+;(?: policy (\w+);)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as nft prints it, without its counter; `packets` is what that counted, None when it does not count.

    `is_last_of_dropping` marks a rule without verdict at the end of a chain whose policy is drop: what it counts is
    what the chain drops.
    """

    table: str
    chain: str
    text: str
    packets: int | None
    is_last_of_dropping: bool = False

    def __str__(self) -> str:
        text = self.text if len(self.text) <= 160 else f"{self.text[:160]} …"
        return f"table {self.table}, chain {self.chain}: {text}"

    @property
    def drops(self) -> bool:
        return self.is_last_of_dropping or _DROPS.search(_QUOTED.sub("", self.text)) is not None

    @property
    def translates(self) -> bool:
        return _TRANSLATES.search(self.text) is not None

    @property
    def owner(self) -> str:
        """Who makes rules of such a name."""
        name = f"{self.table} {self.chain}".lower()
        if "kube-proxy" in name or "kube-" in name:
            return "service proxy"
        if any(word in name for word in ("cni", "cali", "cilium", "flannel", "antrea", "ovn")):
            return "CNI"
        return "node (a packet filter)"


def read_rules(listing: str) -> tuple[Rule, ...]:
    """Every rule of `nft list ruleset`, in order."""
    return tuple(_rules(listing))


def hits(before: str, after: str) -> tuple[Rule, ...]:
    """The rules that counted a packet between two listings, a rule that was not in the first one included."""
    counted: dict[tuple[str, str, str], int] = {}
    for rule in read_rules(before):
        if rule.packets is not None:
            counted[_key(rule)] = counted.get(_key(rule), 0) + rule.packets
    found: dict[tuple[str, str, str], tuple[Rule, int]] = {}
    for rule in read_rules(after):
        if rule.packets is not None:
            sum_ = found[_key(rule)][1] if _key(rule) in found else 0
            found[_key(rule)] = (rule, sum_ + rule.packets)
    return tuple(rule for key, (rule, packets) in found.items() if packets > counted.get(key, 0))


def droppers(listing: str) -> tuple[Rule, ...]:
    """The rules that drop or reject and do not count, so that nobody knows whether they did. kube-proxy's are left out.

    Chains whose policy is drop are among them, as a rule that says so.
    """
    return tuple(
        rule for rule in read_rules(listing) if rule.drops and rule.packets is None and rule.owner != "service proxy"
    )


def translators(listing: str) -> tuple[Rule, ...]:
    """The rules that change sources and do not count, kube-proxy's left out."""
    return tuple(
        rule
        for rule in read_rules(listing)
        if rule.translates and rule.packets is None and rule.owner != "service proxy"
    )


def _key(rule: Rule) -> tuple[str, str, str]:
    return rule.table, rule.chain, rule.text


def _rules(listing: str) -> Iterator[Rule]:
    table = chain = policy = ""
    pending: Rule | None = None
    depth = 0
    for line in listing.splitlines():
        text = line.strip()
        if line.startswith("table "):
            table = " ".join(line.split()[1:-1])
        elif match := _CHAIN.match(line):
            chain, policy, pending = match[1], "", None
        elif text.startswith(("set ", "map ", "flowtable ", "elements =")) or depth:
            depth += text.count("{") - text.count("}")
        elif text == "}":
            if pending is not None:
                yield _closed(pending, policy)
            elif chain and policy == "drop":
                yield Rule(table, chain, "policy drop", None)
            chain, pending, policy = "", None, ""
        elif chain and (hook := _HOOK.search(text)):
            policy = hook[2] or ""
        elif chain and text:
            if pending is not None:
                yield pending
            count = _COUNTER.search(text)
            pending = Rule(table, chain, _COUNTER.sub("", text), int(count[1]) if count else None)


def _closed(last: Rule, policy: str) -> Rule:
    """The last rule of a chain; one that only counts says what a policy of drop drops."""
    bare = _QUOTED.sub("", last.text).strip().removesuffix("comment")
    is_dropping = policy == "drop" and last.packets is not None and not bare
    text = f"policy drop: {last.text}".rstrip(": ") if is_dropping else last.text
    return Rule(last.table, last.chain, text, last.packets, is_dropping)
