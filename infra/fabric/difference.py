"""From what the namespaces hold and what they should hold to the steps between (crew.py does them)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from kip_conformance.infra.fabric.config import Compiled, Item, NamedSet, NamespaceConfig, Table

__all__ = ["Changes", "changes"]

Step = tuple[str, str, Any]
_NOTHING = NamespaceConfig({}, {})


@dataclass(frozen=True, slots=True)
class Changes:
    """`steps` in order; `lines` is how many commands that is; `touched` is what of the new state they are about."""

    steps: tuple[Step, ...]
    lines: int
    touched: Compiled


def changes(before: Compiled, after: Compiled, unsure: Compiled | None = None) -> Changes:
    """What leads from `before` to `after`.

    `unsure` is what an earlier reconciliation that did not end was about to make: its links are made anew, and its
    namespaces are told everything again, whatever they hold of it.
    """
    doubt = unsure or Compiled()
    # Whatever an unfinished reconciliation would have removed or made is in doubt.
    in_doubt = [(key.partition("~")[0], link) for key, link in doubt.links.items()]
    doubtful = {key for key, _ in in_doubt}
    held_links = dict.fromkeys([*before.links.items(), *in_doubt])
    gone_links = [(k, link) for k, link in held_links if after.links.get(k) != link or k in doubtful]
    over = {key for key, _ in gone_links}
    new_links = {k: link for k, link in after.links.items() if before.links.get(k) != link or k in over}
    # With one end of a pair the kernel takes the other one and everything that was set on either.
    fresh: dict[str, set[str]] = {}
    for link in (*(link for _, link in gone_links), *new_links.values()):
        for where, device in link.ends:
            fresh.setdefault(where, set()).add(device)
    held = {**before.namespaces, **doubt.namespaces}
    gone = [name for name in held if name not in after.namespaces]
    made = [name for name in after.namespaces if name not in before.namespaces or name in doubt.namespaces]
    pieces = [
        _Piece(name, before.namespaces.get(name, _NOTHING), config, fresh.get(name, set()), doubt.namespaces.get(name))
        for name, config in after.namespaces.items()
        if name in doubt.namespaces or name in fresh or before.namespaces.get(name) != config
    ]
    steps: list[Step] = [("ip-try", p.name, lines) for p in pieces if (lines := p.removals())]
    # Before their namespaces: one that somebody still holds open would keep the other end alive.
    ends = dict.fromkeys(link.ends[0] for _, link in gone_links)
    steps += [
        ("ip-try", where, [f"link del {d}" for w, d in ends if w == where])
        for where in dict.fromkeys(w for w, _ in ends)
    ]
    steps += [("discard", name, None) for name in gone]
    steps += [("make", name, dict(after.namespaces[name].sysctls)) for name in made]
    if new_links:
        steps.append(("ip", "", [link.add for link in new_links.values()]))
    steps += [("nft", p.name, text) for p in pieces if (text := p.rules())]
    steps += [("ip", p.name, lines) for p in pieces if (lines := p.additions())]
    steps += [("offload", p.name, devices) for p in pieces if (devices := p.offloads())]
    touched = Compiled(
        {**{f"{key}~{number}": link for number, (key, link) in enumerate(gone_links)}, **new_links},
        {**{name: held[name] for name in gone}, **{p.name: p.possible() for p in pieces}},
    )
    return Changes(tuple(steps), sum(len(s[2]) if s[0].startswith("ip") else 1 for s in steps), touched)


class _Piece:
    """One namespace that stays or comes: before, after, the devices that are new in it, and what it may hold."""

    def __init__(
        self, name: str, before: NamespaceConfig, after: NamespaceConfig, fresh: set[str], doubt: NamespaceConfig | None
    ) -> None:
        self.name, self.before, self.after, self.fresh, self.doubt = name, before, after, fresh, doubt

    def possible(self) -> NamespaceConfig:
        """What it may hold besides what it held, once the work on it has begun."""
        doubtful = self.doubt.items if self.doubt else {}
        kept = {f"~{key}": item for key, item in doubtful.items() if self.after.items.get(key) != item}
        changed = self.doubt is not None or self.before.items != self.after.items
        return replace(self.after, items={**kept, **self.after.items} if changed else {})

    def removals(self) -> list[str]:
        """What must go, last things first; what goes with its device is left to that."""
        held = list(self.before.items.items()) + list(self.doubt.items.items() if self.doubt else ())
        lines = [
            item.remove
            for key, item in reversed(held)
            if item.remove and not item.goes_with(self.fresh) and self._is_over(key, item)
        ]
        return list(dict.fromkeys(lines))

    def _is_over(self, key: str, item: Item) -> bool:
        wanted = self.after.items.get(key)
        if wanted is None:
            return True
        # What cannot be replaced in place is removed before it is added: also where nobody knows whether it is there.
        return " replace " not in f" {wanted.add} " and (wanted != item or self.doubt is not None)

    def additions(self) -> list[str]:
        return [
            item.add
            for key, item in self.after.items.items()
            if self.doubt is not None or self.before.items.get(key) != item or item.goes_with(self.fresh)
        ]

    def rules(self) -> str:
        """One nft transaction. Elements come and go by themselves, rules are replaced without the sets they use.

        Tracked connections outlive all of it.
        """
        old, new = self.before.table, self.after.table
        if self.doubt is not None:
            tables = {table.name for table in (old, new, self.doubt.table) if table}
            return "".join(_without(name) for name in sorted(tables)) + (new.text() if new else "")
        if old == new:
            return ""
        if old is None or new is None or old.name != new.name or _chains(old) != _chains(new):
            return (_without(old.name) if old else "") + (new.text() if new else "")
        return _changed_table(old, new)

    def offloads(self) -> list[str]:
        known = () if self.doubt is not None else self.before.no_offload
        return [device for device in self.after.no_offload if device not in known or device in self.fresh]


def _without(table: str) -> str:
    """Removes a table that may be there: removing one that is not there would be refused."""
    return f"table {table}\ndelete table {table}\n"


def _chains(table: Table) -> list[tuple[str, str]]:
    """The chains' names, and where each hooks in."""
    return re.findall(r"chain (\S+) \{\n\s*(type [^\n]*)?", table.chains)


def _changed_table(old: Table, new: Table) -> str:
    kept = {n: (held, new.sets[n]) for n, held in old.sets.items() if n in new.sets and held.is_like(new.sets[n])}
    lines = [line for name, (held, wanted) in kept.items() for line in _element_changes(new.name, name, held, wanted)]
    if old.chains != new.chains or len(kept) < max(len(old.sets), len(new.sets)):
        gone = [f"delete {one.kind} {old.name} {name}\n" for name, one in old.sets.items() if name not in kept]
        come = {name: one for name, one in new.sets.items() if name not in kept}
        # The rules first, which use the sets.
        lines = [f"flush table {new.name}\n", *gone, *lines, replace(new, sets=come).text()]
    return "".join(lines)


def _element_changes(table: str, name: str, old: NamedSet, new: NamedSet) -> Iterable[str]:
    gone, come = _elements(old.elements, new.elements)
    # A map's key can have one value only: the old one goes first.
    for verb, elements in (("delete", gone), ("add", come)):
        if elements:
            yield f"{verb} element {table} {name} {{ {elements} }}\n"


@lru_cache(maxsize=64)
def _elements(held: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, str]:
    """What goes and what comes. Many namespaces hold the same members: it is found out once."""
    old, new = set(held), set(wanted)
    return ", ".join(e for e in held if e not in new), ", ".join(e for e in wanted if e not in old)
