"""Plants each fault in a lab of its own, runs the suites against it, and takes the fault out again.

The suites run as a user runs them, by pytest in a process of its own that attaches to the lab. Before the first fault
and after the last one the lab must be green: a red there would make every verdict worthless.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import yaml
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.faults.fault import Fault, find_faults
from kip_conformance.infra.faults.matrix import KillMatrix, Row, Trial
from kip_conformance.infra.faults.matrix_page import page
from kip_conformance.infra.faults.published import published_rows
from kip_conformance.infra.judge.verdict import Verdict
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["Scope", "rows_for", "rows_missing", "run_faults", "trials_of", "write_matrix"]

_TRIAL = "trial.json"
_A_NAME = "kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is done. Each trial's suites run on `workers` processes.

    `is_resumed` takes over the trials that an earlier run completed in the same folder; rows that it did not have are
    judged in them. `is_sample` says that some of the faults are planted; with a `seed` each in one proxy mode, in turn,
    and beside the rows that it touches a third of the others is judged.
    """

    workers: int = 2
    is_resumed: bool = False
    is_sample: bool = False
    seed: int | None = None


def run_faults(lab: LabCluster, faults: Sequence[Fault], out: Path, say: Progress, scope: Scope) -> KillMatrix:
    """Run every fault; returns the matrix.

    Raises HarnessError when the lab is not green without any fault, or dead. A fault that cannot be planted or taken
    out is listed as one that survives, and the next one is tried.
    """
    modes = lab.description.modes
    rows = {fault.name: rows_for(fault, scope.seed) for fault in faults}
    everything = sorted({row for those in rows.values() for row in those})
    before = _judge(lab, out / "before", say, "no fault", modes=modes, workers=scope.workers, requirements=everything)
    if bad := _not_green(before):
        raise HarnessError(f"the lab is not green before the first fault: {bad}")
    green = [row for row, verdict in before.items() if verdict == "pass"]
    matrix = KillMatrix(sorted({requirement for requirement, _ in green}), is_sample=scope.is_sample, rows=green)
    trials = trials_of(faults, modes, one_mode_each=scope.seed is not None)
    clock = _Clock(len(trials))
    for fault, mode in trials:
        folder = out / f"{fault.name}-{mode}"
        earlier = _read_trial(fault, mode, folder) if scope.is_resumed else None
        missing = rows_missing(earlier, green, mode) or rows[fault.name]
        if earlier is None or rows_missing(earlier, green, mode):
            trial = _try(
                *(lab, fault, mode, folder, lambda line: say(f"{clock.position} {line}")),
                workers=scope.workers,
                earlier=earlier,
                missing=missing,
            )
            clock.took(trial.seconds)
        else:
            trial = earlier
            say(f"{clock.position} {fault.name} [{mode}]: kept from the run before")
            clock.skipped()
        matrix.trials.append(trial)
    # What a fault leaves behind shows in any mode: a sample is judged in the one that it ended in.
    last = modes if scope.seed is None else (lab.service_proxy,)
    if lab.service_proxy != last[0]:
        lab.set_service_proxy(last[0])
    after = _judge(lab, out / "after", say, "no fault", modes=last, workers=scope.workers, requirements=everything)
    matrix.left_behind = _not_green(after)
    return matrix


def rows_for(fault: Fault, seed: int | None) -> list[str]:
    """The rows to judge while a fault is planted: all (an empty list), or with a seed those it touches and a third.

    A third of those that the published matrix has: of newer rows no whole run has said yet what may redden them.
    """
    if seed is None:
        return []
    touched = {*fault.kills, *fault.may_redden}
    others = sorted({row for each in find_faults() for row in each.kills} & published_rows() - touched)
    return sorted(touched | set(random.Random(f"{seed} {fault.name}").sample(others, len(others) // 3)))


def rows_missing(earlier: Trial | None, green: Collection[Row], mode: str) -> list[str]:
    """The requirements that an earlier trial has no verdict of; none when there was no earlier one."""
    if earlier is None:
        return []
    judged = {requirement for requirement, _ in earlier.verdicts}
    return sorted({requirement for requirement, each in green if each in ("", mode)} - judged)


def trials_of(faults: Sequence[Fault], modes: Sequence[str], *, one_mode_each: bool) -> list[tuple[Fault, str]]:
    """Which fault is planted in which proxy mode, in the order of the modes: switching takes seconds."""
    varied = cycle(modes)
    pairs = [
        (fault, mode)
        for fault in faults
        for mode in (modes[:1] if not fault.every_mode else [next(varied)] if one_mode_each else modes)
    ]
    return sorted(pairs, key=lambda pair: modes.index(pair[1])) if one_mode_each else pairs


class _Clock:
    """Which trial it is, of how many, and how long the rest will take at the pace so far."""

    def __init__(self, trials: int) -> None:
        self._trials, self._done, self._measured, self._seconds = trials, 0, 0, 0.0

    @property
    def position(self) -> str:
        left = self._trials - self._done
        pace = f", about {self._seconds / self._measured * left / 60:.0f} min left" if self._measured else ""
        return f"[{self._done + 1} of {self._trials}{pace}]"

    def took(self, seconds: float) -> None:
        self._measured, self._seconds = self._measured + 1, self._seconds + seconds
        self.skipped()

    def skipped(self) -> None:
        self._done += 1


def _try(
    lab: LabCluster,
    fault: Fault,
    mode: str,
    folder: Path,
    say: Progress,
    *,
    workers: int,
    earlier: Trial | None,
    missing: Sequence[str],
) -> Trial:
    """Plant one fault and judge all rows, or those that are missing in an earlier trial."""
    start = time.monotonic()
    verdicts: dict[Row, Verdict] = dict(earlier.verdicts) if earlier else {}
    trouble, what = "", f"{fault.name} [{mode}]"
    try:
        if lab.service_proxy != mode:
            lab.set_service_proxy(mode)
        with fault.plant(lab):
            verdicts |= _judge(
                lab, folder, say, what, modes=(mode,), workers=workers, fault=fault, requirements=missing
            )
    except (HarnessError, AssertionError) as error:
        trouble = str(error).partition("\n")[0]
        say(f"{what}: {trouble}")
        lab.check_components()
    _check_sound(lab, what)
    trial = Trial(fault, mode, verdicts, time.monotonic() - start + (earlier.seconds if earlier else 0.0), trouble)
    if not trouble:
        value = [[requirement, each, verdict] for (requirement, each), verdict in verdicts.items()]
        (folder / _TRIAL).write_text(json.dumps({"seconds": trial.seconds, "verdicts": value}))
    return trial


def _check_sound(lab: LabCluster, what: str) -> None:
    """What a fault breaks and does not mend would be found in every trial after it.

    Raises HarnessError; a run that is resumed begins with a new lab.
    """
    try:
        lab.wait_probers(within=60)
        with lab.driver() as driver:
            driver.check_listeners(lab.places)
            pods = [place for place in lab.places if place.kind == "pod"]
            # Cluster DNS may have been restarted, and is away for a while then.
            eventually(
                lambda: [pod.name for pod in pods if driver.resolve(pod, _A_NAME).rcode != "NOERROR"],
                lambda without: not without,
                within=60,
            )
    except (HarnessError, AssertionError) as error:
        raise HarnessError(f"{what}: it has left the lab broken, go on with --resume: {error}") from error


def _read_trial(fault: Fault, mode: str, folder: Path) -> Trial | None:
    """What an earlier run left of this trial, if it was completed."""
    try:
        value = json.loads((folder / _TRIAL).read_text())
        verdicts: dict[Row, Verdict] = {
            (requirement, each): verdict for requirement, each, verdict in value["verdicts"]
        }
        return Trial(fault, mode, verdicts, float(value["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_matrix(matrix: KillMatrix, out: Path) -> list[Path]:
    """kill-matrix.csv, .json, .txt and .html in the folder; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    contents = {
        "csv": matrix.as_csv(),
        "json": json.dumps(matrix.as_value(), indent=1) + "\n",
        "txt": matrix.as_text() + "\n",
        "html": page(matrix),
    }
    paths = []
    for kind, text in contents.items():
        path = out / f"kill-matrix.{kind}"
        path.write_text(text)
        paths.append(path)
    return paths


def _judge(
    lab: LabCluster,
    out: Path,
    say: Progress,
    what: str,
    *,
    modes: Sequence[str],
    workers: int,
    fault: Fault | None = None,
    requirements: Sequence[str] = (),
) -> dict[Row, Verdict]:
    """Run the suites, or these rows of them, against the lab as it is now; returns the verdict of each row."""
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    report = out / "report.yaml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--pyargs", "kip_conformance.suites"]
    options = ["--attach", lab.description.run_id, "--proxy-mode", ",".join(modes), "--kip-out", str(out)]
    options += ["--kip-findings", "off"]  # that a row is red is all that counts here
    options += ["-n", str(workers)] if workers > 1 else []
    options += [part for requirement in requirements for part in ("--requirement", requirement)]
    options += _budgets(fault)
    options += fault.options if fault is not None else ()
    with (out / "output.txt").open("wb") as output:
        code = subprocess.run(
            [*command, *options, "-p", "no:cacheprovider"],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=out,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        ).returncode
    if not report.exists():
        lines = (out / "output.txt").read_text(errors="replace").strip().splitlines()
        raise HarnessError(f"{what}: the suites ended with {code} and left no report: {lines[-1] if lines else ''}")
    rows = yaml.safe_load(report.read_text())["rows"]
    verdicts: dict[Row, Verdict] = {(row["requirement"], row.get("mode", "")): row["verdict"] for row in rows}
    red = sorted({requirement for (requirement, _), verdict in verdicts.items() if verdict == "fail"})
    err = sorted({requirement for (requirement, _), verdict in verdicts.items() if verdict == "harness-error"})
    said = f"red: {', '.join(red) or 'none'}" + (f"; harness-error: {', '.join(err)}" if err else "")
    say(f"{what}: {said} ({time.monotonic() - start:.1f} s)")
    return verdicts


def _budgets(fault: Fault | None) -> list[str]:
    """Rows that are to go red need not wait long; what is to stay green has all the time that the default gives it.

    A machine under load is then no reason for red, and what waits for a fault of the harness waits for an error.
    """
    if fault is None or fault.is_tolerated:
        return []
    if fault.is_harness or fault.blinds:
        return ["--profile", "budget=fault"]
    return ["--profile", f"hurried={','.join([*fault.kills, *fault.may_redden])}"]


def _not_green(verdicts: Mapping[Row, Verdict]) -> str:
    """The rows that failed or could not be judged; what the lab does not declare is not meant."""
    bad = ("fail", "harness-error")
    return ", ".join(
        f"{requirement} {mode} {verdict}" for (requirement, mode), verdict in verdicts.items() if verdict in bad
    )
