"""List the requirements that the suites judge, with the test of each. Needs neither root nor a cluster."""

from __future__ import annotations

import argparse

HELP = "list the requirements and their tests"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    from kip_conformance.reports import catalogue

    print(catalogue.as_json() if options.json else catalogue.as_text())
    return 0
