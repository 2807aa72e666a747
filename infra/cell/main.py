"""The archive's entry: `itzo --settings FILE` is the keeper, which starts `itzo --settings FILE agent`.

The other commands are pieces of work that the agent has done by a process of its own, or that a machine image wants.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_USAGE = """\
usage: itzo-VERSION --settings FILE [agent]
       itzo-VERSION unpack ROOT LAYER...
       itzo-VERSION ecr REGION CA-FILE
       itzo-VERSION bake STORE CA-FILE IMAGE...
       itzo-VERSION --version"""


def main(version: str, arguments: list[str] | None = None) -> int:
    """Returns the exit code: 2 for settings that cannot be used, with one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    code: int | None = None
    match given:
        case ["--version"]:
            print(version)
            code = 0
        case ["--settings", path]:
            from kip_conformance.infra.cell.keeper import keep

            code = keep(sys.argv[0], path)
        case ["--settings", path, "agent"]:
            from kip_conformance.infra.cell.agent import serve

            code = serve(version, path)
        case _:
            code = _piece_of_work(given)
    if code is None:
        print(_USAGE, file=sys.stderr)
        return 2
    return code


def _piece_of_work(given: list[str]) -> int | None:
    match given:
        case ["unpack", _, *_]:
            from kip_conformance.infra.cell.layers import main as unpack

            return unpack(given[1:])
        case ["ecr", _, _]:
            from kip_conformance.infra.cell.ecr import main as ecr

            return ecr(given[1:])
        case ["bake", store, authority, _, *_]:
            from kip_conformance.infra.cell.images import bake

            return bake(store, authority, given[3:])
    return None
