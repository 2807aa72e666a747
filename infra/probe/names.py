"""Names looked up in many places at once: what each must give, and a grid of what it gave.

The prober's resolver does what a resolver library does with the place's own resolv.conf. Columns of the grids are
lookups. An observation is `open` when the records are the wanted ones, `wrong_peer` for other records, `no_name` where
the server says that there are none, and `timeout` or `unreachable` where no server answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.answers import PairedLookups, Record, Resolution
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.targets.protocol import Place

__all__ = ["Lookup", "look_up", "look_up_in_pairs", "name_known", "service_names"]

_SHOWN = 3
# Types that nobody uses (RFC 6895, private use): asked once each, so that no cache can answer from before.
_FRESH_TYPES = itertools.cycle(range(65280, 65535))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name to look up, and what it must give; one that ends with a dot is asked for as it is.

    `data` is every record of the type, as zone files write them (of an SRV the port and target); None that the name
    exists, whatever it holds.
    `rcode` other than NOERROR means that there must be no record but this answer. `answered_as` is the full name under
    which it must be found, where it matters. `is_tcp` asks over TCP, `edns` offers this many bytes of UDP payload (0:
    none), `is_fallback` asks again over TCP when the answer was cut; `is_truncated` is judged where it is not None.
    """

    asked: str
    data: frozenset[str] | None = None
    type: str = "A"
    rcode: str = "NOERROR"
    answered_as: str = ""
    is_tcp: bool = False
    edns: int = 0
    is_fallback: bool = True
    is_truncated: bool | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """What its column is called."""
        how = [self.type] if self.type != "A" else []
        how += ["over TCP"] if self.is_tcp else []
        how += [f"with {self.edns} bytes offered"] if self.edns else []
        return self.title or " ".join([self.asked, *how])

    def message(self, timeout: float) -> dict[str, Any]:
        """The request to a prober."""
        return {
            "op": "resolve", "name": self.asked, "type": self.type, "timeout": timeout, "edns": self.edns,
            "fallback": self.is_fallback, **({"tcp": True} if self.is_tcp else {}),
        }  # fmt: skip

    def judge(self, seen: Resolution) -> Observation:
        """What the resolution amounts to."""
        if seen.rcode is None:
            kind = "timeout" if "timeout" in seen.error or not seen.error else "unreachable"
            return Observation(kind, detail=f"no server answered: {seen.error or 'silence'}")  # type: ignore[arg-type]
        data = frozenset(_essence(record) for record in seen.answers if record.type == self.type)
        words = f"{seen.rcode} {_shown(data)}" + (" (cut off)" if seen.is_truncated else "")
        wrong = self._difference(seen, data)
        if not wrong:
            return Observation("open", peer=seen.server, rtt=seen.elapsed, detail=words)
        asked = ", ".join(dict.fromkeys(query.question for query in seen.tried))
        is_there = seen.rcode == "NOERROR" and (data or self.data is None)
        return Observation(
            "wrong_peer" if is_there else "no_name",
            detail=f"{words}, {wrong}; asked for {asked}",
        )

    def _difference(self, seen: Resolution, data: frozenset[str]) -> str:
        """What is not as wanted, in words; empty when nothing is."""
        if seen.rcode != self.rcode:
            return f"not {self.rcode}"
        if self.data is not None and data != self.data:
            return f"not {_shown(self.data)}"
        if self.is_truncated is not None and seen.is_truncated != self.is_truncated:
            return "not cut off" if self.is_truncated else "cut off"
        if self.answered_as and seen.question != self.answered_as:
            return f"found as {seen.question}, not as {self.answered_as}"
        return ""


def look_up(
    driver: Driver, places: Sequence[Place], lookups: Iterable[Lookup], *, timeout: float, title: str = "names"
) -> Grid:
    """Every lookup from every place, all at once; `timeout` is seconds for one, search path included.

    Raises HarnessError when a prober does not reply.
    """
    pairs = [(place, lookup) for lookup in lookups for place in places]
    replies = driver.ask_all([(place, lookup.message(timeout)) for place, lookup in pairs], wait=timeout)
    seen = {
        (place.name, lookup.name): lookup.judge(Resolution.of(reply))
        for (place, lookup), reply in zip(pairs, replies, strict=True)
    }
    return driver.grid_of(seen, "dns", title=title)


def name_known(names: Iterable[str]) -> tuple[Lookup, ...]:
    """Lookups that find out whether full names exist without leaving anything in a cache that a later one could meet.

    Each is of a record type that was never asked for before: an answer, though without records, says that the name is
    there (RFC 2308, NODATA), and what a server remembers of it is for that type alone.
    """
    return tuple(Lookup(name, type=f"TYPE{next(_FRESH_TYPES)}", title=f"{name} exists") for name in names)


def look_up_in_pairs(
    driver: Driver, places: Sequence[Place], name: str, *, count: int, timeout: float
) -> dict[str, PairedLookups]:
    """`count` lookups of A and AAAA at once from each place, each from one new socket; the outcome by place.

    `timeout` is the seconds after which an answer counts as lost. Raises HarnessError when a prober does not reply.
    """
    message = {"op": "lookups", "name": name, "count": count, "timeout": timeout}
    replies = driver.ask_all([(place, message) for place in places], wait=timeout * 4 + count * 0.02)
    keys = PairedLookups.__dataclass_fields__
    return {
        place.name: PairedLookups(**{key: reply[key] for key in keys})
        for place, reply in zip(places, replies, strict=True)
    }


def service_names(service: str, namespace: str, domain: str, *, is_same_namespace: bool = True) -> dict[str, str]:
    """The forms of a Service's name that a pod may use, each with the full name that it stands for."""
    full = f"{service}.{namespace}.svc.{domain}."
    forms = [f"{service}.{namespace}", f"{service}.{namespace}.svc", full[:-1], full]
    return dict.fromkeys([service, *forms] if is_same_namespace else forms, full)


def _essence(record: Record) -> str:
    """What the DNS-based service discovery specification lays down of a record: not an SRV's priority and weight."""
    return " ".join(record.data.split()[2:]) if record.type == "SRV" else record.data


def _shown(data: Collection[str]) -> str:
    some = sorted(data)
    if not some:
        return "without records"
    return ", ".join(some[:_SHOWN]) + (f", ... ({len(some)} in all)" if len(some) > _SHOWN else "")
