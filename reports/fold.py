"""From items to rows, from rows to profile results, statistics and an exit code. Nothing is written or drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.judge.verdict import (
    EXIT_CONFORMANT,
    EXIT_HARNESS,
    EXIT_NOT_CONFORMANT,
    Verdict,
    exit_code,
    fold,
)
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.requirements import Level, Registry, Requirement

__all__ = ["Outcome", "ProfileResult", "ReportError", "Row", "Statistics", "conclude", "fold_rows"]

Result = Literal["conformant", "not conformant", "partial"]


class ReportError(KipError):
    """Results that this suite itself got wrong: a defect here, never a word about the cluster under test."""


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement in one proxy mode (None: judged once, whatever the mode), folded from its items."""

    requirement: Requirement
    mode: str | None
    verdict: Verdict
    is_partial: bool
    items: tuple[ItemResult, ...]

    @property
    def key(self) -> str:
        return f"{self.requirement.id}[{self.mode}]" if self.mode else self.requirement.id

    @property
    def label(self) -> str:
        """The verdict as people read it: a pass that some places took no part in is `pass (partial)`."""
        return "pass (partial)" if self.verdict == "pass" and self.is_partial else self.verdict

    @property
    def duration(self) -> float:
        """Seconds, summed over the items; with several workers that is more than the time that went by."""
        return sum(item.duration for item in self.items)


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many rows came to which verdict. `partial` of `passed` had places that could not be run."""

    passed: int = 0
    partial: int = 0
    failed: int = 0
    harness_errors: int = 0
    not_runnable: int = 0
    not_run: int = 0

    @classmethod
    def of(cls, rows: Sequence[Row], not_run: int = 0) -> Statistics:
        verdicts = [row.verdict for row in rows]
        return cls(
            passed=verdicts.count("pass"),
            partial=sum(row.label == "pass (partial)" for row in rows),
            failed=verdicts.count("fail"),
            harness_errors=verdicts.count("harness-error"),
            not_runnable=verdicts.count("not-runnable"),
            not_run=not_run,
        )


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """What a profile comes to. `why` says what keeps it from conformant, empty when nothing does."""

    name: str
    title: str
    result: Result
    why: str
    by_level: Mapping[Level, Statistics]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run comes to. `not_run` holds the planned rows, as keys, that no item judged."""

    rows: tuple[Row, ...]
    not_run: tuple[str, ...]
    profiles: tuple[ProfileResult, ...]
    statistics: Statistics
    exit_code: int

    @property
    def exit_meaning(self) -> str:
        return {
            EXIT_CONFORMANT: "no requirement failed",
            EXIT_NOT_CONFORMANT: "a MUST, or a requirement of a declared feature, failed",
            EXIT_HARNESS: "not everything could be observed; no verdict on the whole",
        }[self.exit_code]


def conclude(run: RunInfo, items: Iterable[ItemResult], registry: Registry) -> Outcome:
    """Everything a report says beyond the items themselves.

    A run that was interrupted exits as a harness-error whatever it saw before, and one that ended early is never
    better than that. Raises ReportError for an item of an unknown row.
    """
    rows = fold_rows(items, registry, run.unreached)
    seen = {row.key for row in rows}
    not_run = [(row, key) for row, key in _planned(run, registry) if key not in seen]
    profiles = tuple(
        _profile_result(name, run, rows, [row for row, _ in not_run], registry)
        for name, profile in registry.profiles.items()
        if set(profile.features) <= set(run.features)
    )
    code = exit_code((row.requirement.level, row.verdict) for row in rows)
    if run.is_interrupted or (run.aborted and code == EXIT_CONFORMANT):
        code = EXIT_HARNESS
    return Outcome(rows, tuple(key for _, key in not_run), profiles, Statistics.of(rows, len(not_run)), code)


def fold_rows(items: Iterable[ItemResult], registry: Registry, unreached: Iterable[str] = ()) -> tuple[Row, ...]:
    """One row for each (requirement, mode) in the registry's order, modes in the order in which they were first met.

    A row is partial when one of its items is, or is among the `unreached` keys: UDP that nobody tried is not a pass.
    """
    missing = [*unreached]
    grouped: dict[tuple[str, str | None], list[ItemResult]] = {}
    for item in items:
        if item.requirement not in registry.requirements:
            raise ReportError(f"result of {item.nodeid or item.key}: requirement {item.requirement} is not registered")
        # A row that is judged once has no mode, even when its item was told which proxy ran meanwhile.
        mode = None if registry.requirements[item.requirement].proxy == "none" else item.mode
        grouped.setdefault((item.requirement, mode), []).append(item)
    order = {identifier: number for number, identifier in enumerate(registry.requirements)}
    return tuple(
        Row(
            requirement=registry.requirements[identifier],
            mode=mode,
            verdict=fold(item.verdict for item in members),
            is_partial=any(item.partial for item in members) or _reaches(identifier, mode, missing),
            items=tuple(sorted(members, key=lambda item: tuple(item.parameters.values()))),
        )
        for (identifier, mode), members in sorted(grouped.items(), key=lambda entry: order[entry[0][0]])
    )


def _reaches(identifier: str, mode: str | None, keys: Iterable[str]) -> bool:
    """Whether one of the item keys is of the row: `SVC-01[nftables-udp]` is of SVC-01 in mode nftables."""
    for key in keys:
        requirement, _, parameters = key.partition("[")
        if requirement == identifier and (mode is None or mode in parameters.rstrip("]").split("-")):
            return True
    return False


def _planned(run: RunInfo, registry: Registry) -> Iterable[tuple[Requirement, str]]:
    """The rows that a complete run would have judged; the nightly lane has runs of its own."""
    for row in registry.requirements.values():
        if row.lane != "nightly":
            for mode in row.modes(run.modes):
                yield row, f"{row.id}[{mode}]" if mode else row.id


def _profile_result(
    name: str, run: RunInfo, rows: Sequence[Row], not_run: Sequence[Requirement], registry: Registry
) -> ProfileResult:
    mine = [row for row in rows if row.requirement.profile == name]
    absent = [row for row in not_run if row.profile == name]
    levels: tuple[Level, ...] = ("M", "S", "X")
    by_level = {
        level: Statistics.of(
            [row for row in mine if row.requirement.level == level], sum(row.level == level for row in absent)
        )
        for level in levels
    }
    core, extended = by_level["M"], by_level["X"]
    failed = core.failed + extended.failed
    # An extended row that is not-runnable has a feature that the target does not declare: it does not bind.
    gaps = {
        "failed": failed,
        "of level M not run": core.not_run,
        "of level M not-runnable": core.not_runnable,
        "with a harness-error": core.harness_errors + extended.harness_errors,
        "of level M judged in part only": core.partial,
    }
    why = [f"{count} row{'' if count == 1 else 's'} {what}" for what, count in gaps.items() if count]
    if not run.is_selection_complete:
        why.append("only a selection was run")
    if run.budgets_beyond_cap:
        why.append(f"budget beyond its cap: {', '.join(run.budgets_beyond_cap)}")
    if run.aborted:
        why.append(run.aborted)
    result: Result = "not conformant" if failed else "partial" if why else "conformant"
    return ProfileResult(name, registry.profiles[name].title, result, "; ".join(why), by_level)
