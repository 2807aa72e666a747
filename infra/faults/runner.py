"""Plants each fault in a lab of its own, runs the suites against it, and takes the fault out again.

The suites run as a user runs them, by pytest in a process of its own that attaches to the lab. Before the first fault
and after the last one the lab must be green: a red there would make every verdict worthless.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.matrix import KillMatrix, Row, Trial
from kip_conformance.infra.judge.verdict import Verdict
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["run_faults", "write_matrix"]


def run_faults(lab: LabCluster, faults: Sequence[Fault], out: Path, say: Progress) -> KillMatrix:
    """Run every fault; returns the matrix. Raises HarnessError when the lab is not green without any fault."""
    modes = lab.description.modes
    before = _judge(lab, modes, out / "before", say, "no fault")
    _require_green(before, "before the first fault")
    matrix = KillMatrix(sorted({requirement for requirement, _ in before}))
    for fault in faults:
        for mode in modes if fault.every_mode else modes[:1]:
            if lab.service_proxy != mode:
                lab.set_service_proxy(mode)
            start = time.monotonic()
            with fault.plant(lab):
                verdicts = _judge(lab, (mode,), out / f"{fault.name}-{mode}", say, f"{fault.name} [{mode}]")
            matrix.trials.append(Trial(fault, mode, verdicts, time.monotonic() - start))
    _require_green(
        _judge(lab, modes, out / "after", say, "no fault"), "after the last fault: one left something behind"
    )
    return matrix


def write_matrix(matrix: KillMatrix, out: Path) -> list[Path]:
    """kill-matrix.csv, .json and .txt in the folder; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    contents = {
        "csv": matrix.as_csv(),
        "json": json.dumps(matrix.as_value(), indent=1) + "\n",
        "txt": matrix.as_text() + "\n",
    }
    paths = []
    for kind, text in contents.items():
        path = out / f"kill-matrix.{kind}"
        path.write_text(text)
        paths.append(path)
    return paths


def _judge(lab: LabCluster, modes: Sequence[str], out: Path, say: Progress, what: str) -> dict[Row, Verdict]:
    """Run the suites against the lab as it is now; returns the verdict of each row."""
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "--pyargs", "kip_conformance.suites"]
    options = ["--attach", lab.description.run_id, "--proxy-mode", ",".join(modes), "--kip-out", str(out)]
    options += ["--kip-findings", "off"]  # that a row is red is all that counts here
    with (out / "output.txt").open("wb") as output:
        code = subprocess.run(
            [*command, *options, "--profile", "budget=fault", "-p", "no:cacheprovider"],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=out,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        ).returncode
    report = out / "report.yaml"
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


def _require_green(verdicts: dict[Row, Verdict], when: str) -> None:
    bad = [f"{requirement} {mode} {verdict}" for (requirement, mode), verdict in verdicts.items() if verdict != "pass"]
    if bad:
        raise HarnessError(f"the lab is not green {when}: {', '.join(bad)}")
