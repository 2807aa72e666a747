"""A grid of observations, one for each (client, server), and its comparison with what was expected.

`grid == expected` is the judgement; the grid keeps how each pair was judged, for the report. Words and pictures of a
comparison are headline.py and drawing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kip_conformance.infra.errors import HarnessError, NotRunnable
from kip_conformance.infra.judge.drawing import draw_cases
from kip_conformance.infra.judge.expectations import Expectation, Expected
from kip_conformance.infra.judge.headline import Site, headline_of
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.probe.probe_target import ProbeTarget

__all__ = ["Grid", "JudgedCase", "Site", "draw", "headline"]


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """One ordered pair: what was expected and what was observed, in words and as values.

    `observation` has the keys kind, peer, seen_source, rtt (seconds), detail. The symbols are single characters for
    drawing: "+" open, "-" denied, "?" could not be judged, and a letter for each other kind.
    """

    client: str
    server: str
    expected: str
    observed: str
    ok: bool
    observation: dict[str, Any] = field(default_factory=dict)
    symbols: tuple[str, str] = ("?", "?")

    @property
    def id(self) -> str:
        return f"{self.client}-to-{self.server}"


class Grid(Mapping[tuple[str, str], Observation]):
    """What was seen for each (client, server), by name, in the order it was asked.

    `sites` tells the machine and kind of the places in it, so that a headline can say where the differences lie.
    `targets` tells what was probed for each column, so that a failure can be looked into.
    `is_restricted` says that only selected pairs were asked, so that fewer pairs than expected are no defect.
    """

    __hash__ = None  # type: ignore[assignment]  # it compares with what is expected, not with other grids

    def __init__(
        self,
        observations: Mapping[tuple[str, str], Observation],
        *,
        title: str = "",
        protocol: str = "",
        sites: Mapping[str, Site] | None = None,
        targets: Mapping[str, ProbeTarget] | None = None,
        is_restricted: bool = False,
    ) -> None:
        self._observations = dict(observations)
        self.title, self.protocol, self.sites = title, protocol, dict(sites or {})
        self.targets = dict(targets or {})
        self.is_restricted = is_restricted
        self.comparison: tuple[JudgedCase, ...] = ()

    def __getitem__(self, pair: tuple[str, str]) -> Observation:
        return self._observations[pair]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._observations)

    def __len__(self) -> int:
        return len(self._observations)

    def __eq__(self, other: object) -> bool:
        """Whether every pair is as expected; `comparison` keeps the judgement of each.

        Raises HarnessError when the two name different pairs (unless the grid is restricted), because a pair that
        nobody judged must not read as a pass, and NotRunnable when nothing of a restricted grid is left.
        """
        if not isinstance(other, Expected):
            return NotImplemented
        self.comparison = self.judge(other)
        return all(case.ok for case in self.comparison)

    def judge(self, expected: Expected) -> tuple[JudgedCase, ...]:
        """Each pair's case, in the grid's order. Raises as `==` does, and whatever an expectation raises."""
        if not self._observations and self.is_restricted:
            raise NotRunnable(f"{self.title or 'grid'}: none of its pairs is selected")
        unexpected = [pair for pair in self if pair not in expected]
        unseen = [] if self.is_restricted else [pair for pair in expected if pair not in self]
        if unexpected or unseen or not self._observations:
            raise HarnessError(
                f"{self.title or 'grid'}: observed and expected pairs differ: "
                f"{_listed(unexpected)} without expectation, {_listed(unseen)} not observed"
            )
        cases, errors = [], []
        for pair, observation in self._observations.items():
            try:
                cases.append(_judged(pair, expected[pair], observation, ok=expected[pair](observation)))
            except HarnessError as error:
                errors.append(error)
                cases.append(_judged(pair, expected[pair], observation, ok=False, excuse=f"not judged: {error}"))
        # What could not be judged ends the comparison, unless there is a true difference: a failure outranks it.
        if errors and not any(not case.ok and case.symbols[1] != "?" for case in cases):
            raise errors[0]
        return tuple(cases)

    def restricted_to(self, pairs: set[tuple[str, str]] | frozenset[tuple[str, str]]) -> Grid:
        """The selected pairs of this grid alone."""
        return Grid(
            {pair: observation for pair, observation in self._observations.items() if pair in pairs},
            title=self.title,
            protocol=self.protocol,
            sites=self.sites,
            targets=self.targets,
            is_restricted=True,
        )

    def __str__(self) -> str:
        """The grid in short: how many of each kind of observation, and an example of all that is not open."""
        examples: dict[str, tuple[int, str]] = {}
        for (client, server), observation in self._observations.items():
            count, example = examples.get(observation.kind, (0, f"{client} -> {server}: {observation}"))
            examples[observation.kind] = (count + 1, example)
        words = [
            f"{count} {kind}" + ("" if kind == "open" else f" ({text})") for kind, (count, text) in examples.items()
        ]
        return ", ".join(words) or "nothing"

    def __repr__(self) -> str:
        return f"<Grid {self.title} {self.protocol}: {self}>"


def draw(grid: Grid, expected: Expected) -> str:
    """Both sides as text grids, then every pair that differs. Plain text, no colour."""
    return draw_cases(grid.judge(expected), title=" ".join(filter(None, [grid.title, grid.protocol])))


def headline(grid: Grid, expected: Expected) -> str:
    """One line that says who -> whom, what was expected and seen, and where the differences lie; empty for none."""
    return headline_of(grid.judge(expected), grid.sites)


def _judged(
    pair: tuple[str, str], expectation: Expectation, seen: Observation, *, ok: bool, excuse: str = ""
) -> JudgedCase:
    return JudgedCase(
        client=pair[0],
        server=pair[1],
        expected=str(expectation),
        observed=excuse or expectation.describe(seen),
        ok=ok,
        observation={
            "kind": seen.kind,
            "peer": seen.peer,
            "seen_source": seen.seen_source,
            "rtt": seen.rtt,
            "detail": seen.detail,
        },
        symbols=(expectation.symbol, "?" if excuse else seen.symbol),
    )


def _listed(pairs: list[tuple[str, str]]) -> str:
    words = [f"{client}-to-{server}" for client, server in pairs[:3]] + (["..."] if len(pairs) > 3 else [])
    return f"{len(pairs)} ({', '.join(words)})" if pairs else "none"
