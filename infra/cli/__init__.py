"""The `kip-conformance` command. Each subcommand is a module of this package; a new one is added by adding a file.

A subcommand module has `HELP` (one line), `arguments(parser)` and `run(options) -> int`; its docstring is the
long help.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from kip_conformance.infra.errors import KipError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0, 1 not conformant, 4 usage, 10 environment or harness."""
    parser = argparse.ArgumentParser(
        prog="kip-conformance",
        description="Stand up, inspect and remove the lab that the network conformance suites run against.",
        epilog="The suites themselves are run by pytest: `pytest suites`, or `pytest suites --attach RUN` on a kept "
        "lab. "
        "`kip-conformance COMMAND --help` explains each command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        command = commands.add_parser(
            name.rstrip("_").replace("_", "-"),
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
        command.set_defaults(handler=module.run)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return 4 if stop.code else 0
    try:
        code: int = options.handler(options)
    except KipError as error:
        print(f"kip-conformance: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kip-conformance: interrupted", file=sys.stderr)
        return 10
    except BrokenPipeError:
        return 0
    return code
