"""`python -m benchmarks`: measure, show progress, print a table of medians.

Figures are not tests: a missed target is shown and does not change the exit code. That is 0 when all was measured,
4 for a bad option, 10 when something could not be measured or gave a wrong answer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType

from kip_conformance.infra.errors import EnvironmentFault, KipError, UsageError
from kip_conformance.infra.lab import doctor

from benchmarks.figures import Figures, environment, table
from benchmarks.memory import other_labs
from benchmarks.session import Session

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS = ("engine", "fabric", "cloud", "cells", "lab_up", "matrix", "rate", "conformance")
"""Modules of this package with ABOUT, NEEDS_ROOT and run(session), in the order that they are run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    modules = {name.replace("_", "-"): importlib.import_module(f"benchmarks.{name}") for name in BENCHMARKS}
    parser = _parser(modules)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return 4 if stop.code else 0
    try:
        chosen = _chosen(options.only, modules)
        if options.runs < 1:
            raise UsageError(f"--runs {options.runs}: at least 1")
        if options.json and not options.json.parent.is_dir():
            raise UsageError(f"--json {options.json}: there is no folder {options.json.parent}")
        if os.geteuid() != 0 and (need := [name for name, module in chosen.items() if module.NEEDS_ROOT]):
            without = next(name for name, module in modules.items() if not module.NEEDS_ROOT)
            raise EnvironmentFault(f"{', '.join(need)}: a lab needs root; run it with sudo, or with --only {without}")
        if any(module.NEEDS_ROOT for module in chosen.values()):
            doctor.preflight()
        return _measure(chosen, options)
    except KipError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 10


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what this software costs, and print medians.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="benchmarks:\n" + "\n".join(f"  {name:12} {module.ABOUT}" for name, module in modules.items()),
    )
    parser.add_argument("--only", metavar="NAME", action="append", help="measure this alone (repeatable)")
    parser.add_argument("--runs", metavar="N", type=int, default=5, help="rounds of each (default: 5)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every value to this file, too")
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="wait so long, at most, before each round until the machine is idle (default: 0)",
    )
    parser.add_argument("--attach", metavar="RUN", default="", help="matrix and rate: use this kept lab; it stays up")
    return parser


def _chosen(names: Sequence[str] | None, modules: dict[str, ModuleType]) -> dict[str, ModuleType]:
    unknown = [name for name in names or () if name not in modules]
    if unknown:
        raise UsageError(f"benchmark {unknown[0]!r}: unknown; known: {', '.join(modules)}")
    return {name: module for name, module in modules.items() if not names or name in names}


def _measure(chosen: dict[str, ModuleType], options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)  # else nothing would be taken down
    figures = Figures(lambda line: print(line, file=sys.stderr, flush=True), patience=options.patience)
    facts = {**environment(), "command": " ".join(["python -m benchmarks", *sys.argv[1:]]), "runs": str(options.runs)}
    if others := other_labs(options.attach):
        facts["other labs on this machine"] = ", ".join(others)
    session, began, code = Session(figures, options.runs, options.attach), time.monotonic(), 0
    with session.stack:
        for name, module in chosen.items():
            try:
                module.run(session)
            except KipError as error:
                # What was measured before is still worth its ink.
                print(f"benchmarks: {name}: {error}", file=sys.stderr)
                code = error.exit_code
            except KeyboardInterrupt:
                print(f"benchmarks: {name}: interrupted", file=sys.stderr)
                code = 10
                break
    facts["took"] = f"{time.monotonic() - began:.0f} s"
    print(table(list(figures.all.values())) if figures.all else "Nothing was measured.")
    print()
    for key, value in [*figures.notes.items(), *facts.items()]:
        print(f"{key}: {_plain(value)}")
    if options.json:
        value = {
            "environment": facts,
            "figures": [figure.to_value() for figure in figures.all.values()],
            "notes": figures.notes,
        }
        options.json.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    return code


def _plain(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
