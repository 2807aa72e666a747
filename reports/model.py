"""The result of a run as plain values: what the plugin fills in and every report format reads.

No rendering here (one file per format in formats/) and no judging (infra/judge).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kip_conformance.infra.judge.verdict import Verdict

__all__ = ["Asked", "Case", "ItemResult", "RunInfo", "Step", "item_key"]


def item_key(requirement: str, parameters: Mapping[str, str]) -> str:
    """`SVC-01[nftables-udp]`: a requirement and its parameters, as people and reports name an item."""
    return f"{requirement}[{'-'.join(parameters.values())}]" if parameters else requirement


@dataclass(frozen=True, slots=True)
class Case:
    """One ordered pair inside a grid: what was expected and what was observed, in words and as values.

    `observation` has the keys kind, peer, seen_source, rtt (seconds), detail. `symbols` are the characters for drawing,
    expected and observed, as infra/judge/grid.py has them; empty when nobody gave any.
    """

    client: str
    server: str
    expected: str
    observed: str
    ok: bool
    observation: dict[str, Any] = field(default_factory=dict)
    symbols: tuple[str, str] = ("", "")

    @property
    def id(self) -> str:
        return f"{self.client}-to-{self.server}"


@dataclass(frozen=True, slots=True)
class Asked:
    """How a grid came about: what it is of, and how often it was asked and compared before it counted.

    `first_error` is the headline of the first attempt that was not as expected, empty when there was none.
    """

    title: str = ""
    protocol: str = ""
    attempts: int = 1
    first_error: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the run did besides judging: bringing the cluster up, switching it, taking it down.

    `began` is seconds since the epoch, `duration` seconds.
    """

    name: str
    began: float
    duration: float


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One pytest item: a requirement with its parameters (proxy mode, protocol) and everything it saw.

    `headline` is one line that says who -> whom and what was seen, empty for a pass. `reason` says why a row was
    not-runnable or why the harness could not observe. `grids` holds one tuple of cases for each grid compared, `asked`
    how each of them came about (as many, or none). `partial` is true when some of the row's places could not be run.
    `finding` is what was found on the path of the most telling case, as plain values; None when nobody looked.
    `began` is seconds since the epoch (0: unknown), `phases` the seconds of setup, call and teardown, `duration` all of
    them together. `measured` holds the seconds that the row took note of, by what they were spent until.
    """

    requirement: str
    parameters: dict[str, str]
    verdict: Verdict
    headline: str = ""
    reason: str = ""
    detail: str = ""
    grids: tuple[tuple[Case, ...], ...] = ()
    partial: bool = False
    duration: float = 0.0
    worker: str = ""
    nodeid: str = ""
    asked: tuple[Asked, ...] = ()
    finding: dict[str, Any] | None = None
    began: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)

    @property
    def mode(self) -> str | None:
        return self.parameters.get("mode")

    @property
    def key(self) -> str:
        """`SVC-01[nftables-udp]`: the requirement and its parameters, the same in-tree and installed."""
        return item_key(self.requirement, self.parameters)

    def to_value(self) -> dict[str, Any]:
        """Strings, numbers, lists and dictionaries only: what crosses from a worker to the controller."""
        value = asdict(self)
        value["grids"] = [list(grid) for grid in value["grids"]]
        value["asked"] = list(value["asked"])
        return value

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> ItemResult:
        """The inverse of `to_value`. Raises KeyError or TypeError on a value that is not from this version."""
        grids = tuple(
            tuple(Case(**{**case, "symbols": tuple(case["symbols"])}) for case in grid) for grid in value["grids"]
        )
        return cls(**{**value, "grids": grids, "asked": tuple(Asked(**asked) for asked in value["asked"])})


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What was run: identity, environment and selection.

    `selection` is the arguments that a rerun repeats (target, versions, profile, selection of rows), `command` how
    the suites are started here (empty: reports/rerun.py finds out), `attach` the kept lab that a rerun can use,
    `aborted` why the run ended before its last item (empty: it did not), `is_interrupted` whether that was against
    the user's own rules (a signal, an internal error; not --maxfail), `unreached` the keys of items that were planned
    and never judged, `budgets_beyond_cap` the budgets larger than a conformant run may have. `started` is ISO 8601
    with a time zone, `budgets` and `duration` are seconds. `address_plan` holds the target's ranges by name, as plain
    values, `steps` what the run did besides judging.
    """

    run_id: str
    target: str
    is_lab: bool
    implementation: str
    suite_version: str
    started: str
    seed: int
    modes: tuple[str, ...]
    places: tuple[str, ...]
    features: tuple[str, ...]
    versions: dict[str, str]
    selection: tuple[str, ...] = ()
    is_selection_complete: bool = True
    duration: float = 0.0
    budgets: dict[str, float] = field(default_factory=dict)
    budgets_beyond_cap: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    attach: str = ""
    aborted: str = ""
    is_interrupted: bool = False
    unreached: tuple[str, ...] = ()
    address_plan: dict[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
