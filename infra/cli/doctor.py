"""Check that this machine can run a lab: one line per thing it needs, with what to do if it is missing."""

from __future__ import annotations

import argparse
import json

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.doctor import CHECKS

HELP = "check that this machine can run a lab"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    results = []
    for check in CHECKS:
        try:
            results.append({"check": check.name, "ok": True, "found": check.ask()})
        except EnvironmentFault as fault:
            results.append({"check": check.name, "ok": False, "found": str(fault)})
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        for result in results:
            print(f"{'ok     ' if result['ok'] else 'MISSING'}  {result['check']}: {result['found']}")
    return 0 if all(result["ok"] for result in results) else EnvironmentFault.exit_code
