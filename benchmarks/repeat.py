"""`python -m benchmarks.repeat --attach RUN`: judge one kept lab again and again, and compare the verdicts.

A suite that says something else of the same cluster the second time is worth nothing. Each run is a line: its seconds,
its exit code, and every item whose verdict differs from the first run's, with its headline. At the end the log says how
many items were steady and how long the runs took. The lab stays up.

Exit code 0 when all runs came to the same verdicts and exit code, 1 when one did not, 10 when a run judged nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import HarnessError, KipError, UsageError
from kip_conformance.infra.lab.state import description_path
from kip_conformance.reports.reading import Published, read_report

__all__ = ["Judged", "differences", "main"]

_LIMIT = 1800.0  # seconds for one run


@dataclass(frozen=True, slots=True)
class Judged:
    """One run: seconds from its start to its end, its exit code, and the verdict of each item with its headline."""

    seconds: float
    code: int
    verdicts: Mapping[str, str]
    said: Mapping[str, str]
    facts: str = ""


def differences(first: Judged, other: Judged) -> list[str]:
    """One line for each item of which the two runs say different things, or which one of them does not have."""
    keys = dict.fromkeys([*first.verdicts, *other.verdicts])
    lines = []
    for key in keys:
        one, two = first.verdicts.get(key, "not there"), other.verdicts.get(key, "not there")
        if one != two:
            said = other.said.get(key) or first.said.get(key, "")
            lines.append(f"{key}: {one} at first, now {two}{f': {said}' if said else ''}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.repeat",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Everything after -- goes to pytest: python -m benchmarks.repeat --attach mylab -- -n 2 -k SVC",
    )
    parser.add_argument("--attach", metavar="RUN", required=True, help="the kept lab")
    parser.add_argument("--times", metavar="N", type=int, default=20, help="runs (default: 20)")
    parser.add_argument("--log", metavar="FILE", type=Path, help="write the log there, too")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs="*", help="for pytest (default: -n 2)")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return 4 if stop.code else 0
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)
        if options.log:
            # After every line: a log that is lost with its last run is no log.
            options.log.write_text("\n".join(lines) + "\n", encoding="utf-8")

    try:
        if options.times < 1:
            raise UsageError(f"--times {options.times}: at least 1")
        if not description_path(options.attach).exists():
            raise UsageError(f"--attach {options.attach}: there is no such lab; `kip-conformance status` lists them")
        if options.log and not options.log.parent.is_dir():
            raise UsageError(f"--log {options.log}: there is no folder {options.log.parent}")
        own = options.arguments or ["-n", "2"]
        return repeat(lambda: judge_once(options.attach, own), options.times, say, " ".join(own))
    except KipError as error:
        print(f"benchmarks.repeat: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks.repeat: interrupted", file=sys.stderr)
        return 10


def repeat(judge: Callable[[], Judged], times: int, say: Callable[[str], None], how: str = "") -> int:
    """Judge so many times and tell `say` how that went; returns the exit code. Raises what `judge` raises."""
    runs: list[Judged] = []
    unsteady: dict[str, int] = {}
    for number in range(1, times + 1):
        run = judge()
        runs.append(run)
        if number == 1:
            say(f"{times} runs of `pytest suites --attach RUN {how}`".rstrip("` ") + "` on one kept lab")
            say(run.facts)
            say("")
        counts = {verdict: [*run.verdicts.values()].count(verdict) for verdict in sorted({*run.verdicts.values()})}
        words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        differing = differences(runs[0], run)
        same = "as the first" if not differing and run.code == runs[0].code else "DIFFERS"
        say(f"run {number:3}  {run.seconds:6.1f} s  exit {run.code:2}  {words}  {same if number > 1 else ''}".rstrip())
        for line in differing:
            unsteady[line.partition(":")[0]] = unsteady.get(line.partition(":")[0], 0) + 1
            say(f"         {line}")
    seconds = [run.seconds for run in runs]
    codes = sorted({run.code for run in runs})
    say("")
    say(f"{len(runs[0].verdicts)} items, {len(unsteady)} of them unsteady; exit codes {', '.join(map(str, codes))}")
    say(f"seconds: median {statistics.median(seconds):.1f}, shortest {min(seconds):.1f}, longest {max(seconds):.1f}")
    return 1 if unsteady or len(codes) > 1 else 0


def judge_once(lab: str, arguments: Sequence[str]) -> Judged:
    """One run of the suites on the lab. Raises HarnessError when it left no report."""
    with tempfile.TemporaryDirectory(prefix="kip-repeat-") as folder:
        command = [sys.executable, "-m", "pytest", "--pyargs", "kip_conformance.suites", "--attach", lab, *arguments]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--kip-out", folder, "--kip-live", "off", "-p", "no:cacheprovider"],
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        seconds = time.monotonic() - began
        path = Path(folder, "report.yaml")
        if not path.exists():
            last = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
            raise HarnessError(f"a run ended with {done.returncode} and judged nothing:\n{last}")
        report = read_report(path)
    return Judged(
        seconds,
        done.returncode,
        {item.key: item.verdict for item in report.items},
        {item.key: item.headline or item.reason for item in report.items},
        _facts(report),
    )


def _facts(report: Published) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.run.versions.items())
    return f"{report.run.started[:10]}, kip-conformance {report.run.suite_version}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
