"""The kill matrix (check x fault) and the three lists that must be empty. Judging only; runner.py makes the runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.judge.verdict import Verdict

__all__ = ["KillMatrix", "Row", "Trial", "cell_of", "name_of"]

Row = tuple[str, str]  # requirement, proxy mode ("" for rows that have none)


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault planted once: the verdict of every row that ran. `trouble` says why it could not be tried."""

    fault: Fault
    mode: str
    verdicts: Mapping[Row, Verdict]
    seconds: float = 0.0
    trouble: str = ""

    @property
    def reds(self) -> set[str]:
        return {requirement for (requirement, _), verdict in self.verdicts.items() if verdict == "fail"}

    @property
    def errors(self) -> set[str]:
        return {requirement for (requirement, _), verdict in self.verdicts.items() if verdict == "harness-error"}


@dataclass(slots=True)
class KillMatrix:
    """All trials, and what they say about the suite.

    `rows` are those that were green without any fault: a row of one proxy mode alone counts in trials in that mode.
    Of a sample of the faults (`is_sample`), only those requirements are judged that one of them must turn red.
    """

    requirements: Sequence[str]
    trials: list[Trial] = field(default_factory=list)
    is_sample: bool = False
    left_behind: str = ""
    rows: Collection[Row] = ()

    def checks_without_a_kill(self) -> list[str]:
        """Requirements that no planted defect turned red: nothing shows that they can fail."""
        killed = {requirement for trial in self.trials if trial.fault.is_defect for requirement in trial.reds}
        claimed = {each for trial in self.trials for each in trial.fault.kills if self._counts(trial, each)}
        return [
            requirement
            for requirement in self.requirements
            if requirement not in killed and (requirement in claimed or not self.is_sample)
        ]

    def faults_that_survive(self) -> list[str]:
        """Faults that did not turn everything red that they must, with what stayed green."""
        found = []
        for trial in self.trials:
            if trial.trouble:
                found.append(f"{name_of(trial)}: {trial.trouble}")
            elif trial.fault.is_harness:
                if not trial.errors:
                    found.append(f"{name_of(trial)}: no harness-error noticed it")
            elif spared := [each for each in trial.fault.kills if each not in trial.reds and self._counts(trial, each)]:
                found.append(f"{name_of(trial)}: {', '.join(spared)} stayed {_states(trial, spared)}")
        return found

    def _counts(self, trial: Trial, requirement: str) -> bool:
        """Whether a trial must say something about a requirement: unless it is one of another proxy mode alone."""
        modes = {mode for each, mode in self.rows if each == requirement and mode}
        return not modes or trial.mode in modes

    def red_without_cause(self) -> list[str]:
        """What went red though the fault does not touch it; for a harness fault, any fail at all."""
        found = [f"without any fault, after the last one: {self.left_behind}"] if self.left_behind else []
        for trial in self.trials:
            fault = trial.fault
            allowed = set() if fault.is_harness else {*fault.kills, *fault.may_redden}
            wrong = sorted(trial.reds - allowed)
            if not (fault.is_harness or fault.blinds):
                excused = fault.may_redden if fault.is_tolerated else {}
                wrong += [f"{each} (harness-error)" for each in sorted(trial.errors) if each not in excused]
            if wrong:
                found.append(f"{name_of(trial)}: {', '.join(wrong)}")
        return found

    @property
    def is_clean(self) -> bool:
        return not (self.checks_without_a_kill() or self.faults_that_survive() or self.red_without_cause())

    def as_csv(self) -> str:
        """One line per fault and mode, one column per requirement: its verdict or nothing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["fault", "mode", *self.requirements])
        for trial in self.trials:
            writer.writerow([trial.fault.name, trial.mode, *(cell_of(trial, each) for each in self.requirements)])
        return text.getvalue()

    def as_value(self) -> dict[str, object]:
        """For JSON."""
        return {
            "requirements": list(self.requirements),
            "sample": self.is_sample,
            "trials": [
                {
                    "fault": trial.fault.name,
                    "sentence": trial.fault.sentence,
                    "mode": trial.mode,
                    "kills": list(trial.fault.kills),
                    "mayRedden": dict(trial.fault.may_redden),
                    "harness": trial.fault.is_harness,
                    "tolerated": trial.fault.is_tolerated,
                    "trouble": trial.trouble,
                    "blinds": trial.fault.blinds,
                    "seconds": round(trial.seconds, 1),
                    "verdicts": {each: cell_of(trial, each) for each in self.requirements},
                }
                for trial in self.trials
            ],
            "checksWithoutAKill": self.checks_without_a_kill(),
            "faultsThatSurvive": self.faults_that_survive(),
            "redWithoutCause": self.red_without_cause(),
        }

    def as_text(self) -> str:
        """The matrix for a terminal, and the three lists."""
        marks = {"fail": "RED", "harness-error": "err", "pass": ".", "not-runnable": "n/r", "": " "}
        width = max((len(name_of(trial)) for trial in self.trials), default=5)
        lines = [" " * width + "  " + " ".join(self.requirements)]
        for trial in self.trials:
            cells = (marks[cell_of(trial, each)].center(len(each)) for each in self.requirements)
            lines.append(f"{name_of(trial):<{width}}  {' '.join(cells)}")
        for title, entries in (
            ("Checks without a kill", self.checks_without_a_kill()),
            ("Faults that survive", self.faults_that_survive()),
            ("Red without cause", self.red_without_cause()),
        ):
            lines += ["", f"{title}: {'none' if not entries else ''}".rstrip(), *(f"  {entry}" for entry in entries)]
        return "\n".join(lines)


def name_of(trial: Trial) -> str:
    """The fault, and the proxy mode where it makes a difference."""
    return f"{trial.fault.name} [{trial.mode}]" if trial.fault.every_mode else trial.fault.name


def cell_of(trial: Trial, requirement: str) -> str:
    """The gravest verdict of a requirement's rows."""
    seen = {verdict for (each, _), verdict in trial.verdicts.items() if each == requirement}
    return next((verdict for verdict in ("fail", "harness-error", "not-runnable", "pass") if verdict in seen), "")


def _states(trial: Trial, requirements: Sequence[str]) -> str:
    return ", ".join(sorted({cell_of(trial, each) or "not run" for each in requirements}))
